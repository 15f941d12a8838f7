"""What a run counts, and what a second one over the same flows does."""

import json
import re
import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from calls import call, committed, run
from flow_files import DAY_MS, JANUARY_1, write_flows

from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.workspace.paths import Workspace


def test_a_run_counts_and_publishes(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    code, done, err = run(capsys, root, flows)
    assert code is ExitCode.DONE
    assert (done["inputs_found"], done["inputs_committed"]) == (3, 3)
    assert (done["rows_in"], done["rows_counted"], done["rows_rejected"]) == (12, 12, 0)
    assert done["published"] is True
    assert "next: `v6share kpi`" in err
    code, out, _ = call(capsys, root, "kpi", "kpi_headline", "--format", "json")
    assert code is ExitCode.DONE
    assert [row["stage"] for row in json.loads(out)] == [1, 1, 2, 3]


def test_a_rerun_is_a_no_op_that_opens_nothing(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    flows: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run(capsys, root, flows)
    published = Workspace(root).published.stat().st_mtime_ns
    monkeypatch.setattr("v6share.pipelines.session.Session", None)
    code, done, err = run(capsys, root, flows)
    assert code is ExitCode.DONE
    assert (done["outcome"], done["inputs_known"]) == ("no-op", 3)
    assert "nothing new" in err
    assert Workspace(root).published.stat().st_mtime_ns == published


def test_a_copy_and_a_rename_are_the_same_input(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    run(capsys, root, flows)
    (flows / "copy.parquet").write_bytes((flows / "day0.parquet").read_bytes())
    (flows / "day1.parquet").rename(flows / "renamed.parquet")
    code, done, _ = run(capsys, root, flows)
    assert code is ExitCode.DONE
    assert (done["outcome"], done["inputs_known"], done["inputs_committed"]) == ("no-op", 4, 0)


def test_a_file_that_was_rewritten_in_place_is_named(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    run(capsys, root, flows)
    write_flows(flows / "day0.parquet", rows=6, octets=77)
    code, done, err = run(capsys, root, flows)
    assert (code, done["inputs_committed"], done["inputs_rewritten"]) == (ExitCode.DONE, 1, 1)
    (advice,) = re.findall(r"day0\.parquet: other content than before.*(v6share forget \w+)", err)
    assert committed(capsys, root) == 4
    assert call(capsys, root, *advice.split()[1:])[0] is ExitCode.DONE
    assert committed(capsys, root) == 3
    out = call(capsys, root, "kpi", "ledger_files", "--format", "json")[1]
    rows = [row["rows_in"] for row in json.loads(out) if row["status"] == "committed"]
    assert sorted(rows) == [4, 4, 6]
    assert run(capsys, root, flows)[1]["inputs_rewritten"] == 0


def test_sums_that_are_absurd_together_cost_the_largest_of_them_alone(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    """Six files of 200 rows a family and day, each just below 2^53 bytes: five stay below 2^63."""
    for i in range(6):
        write_flows(flows / f"absurd{i}.parquet", rows=400, octets=2**53 - 1 - i, interval=1)
    code, done, err = run(capsys, root, flows)
    assert code is ExitCode.INPUT_FAILED
    assert (done["inputs_committed"], done["inputs_failed"]) == (8, 1)
    assert "absurd0.parquet: its packets or bytes sum to 3,602,879,701,896,396,400, and with" in err
    # What stands there already is not given up, and ordinary files of that day still fit.
    shutil.copy(flows / "absurd0.parquet", flows / "absurd0-copy.parquet")
    write_flows(flows / "late.parquet", octets=7, start_ms=JANUARY_1 + 3_600_000)
    write_flows(flows / "other.parquet", rows=400, octets=2**50, start_ms=JANUARY_1 + 9 * DAY_MS)
    code, done, err = run(capsys, root, flows)
    assert (code, done["inputs_committed"]) == (ExitCode.INPUT_FAILED, 2)
    assert (done["inputs_failed"], done["inputs_quarantined"]) == (2, 0)
    assert call(capsys, root, "check")[0] is ExitCode.DONE
    # Once there is room, it is counted.
    assert call(capsys, root, "forget", flows / "absurd1.parquet")[0] is ExitCode.DONE
    code, done, _ = run(capsys, root, flows)
    assert (code, done["inputs_committed"], done["inputs_known"]) == (ExitCode.DONE, 1, 10)
    code, out, _ = call(capsys, root, "rebuild", "--format", "json")
    assert (code, json.loads(out)["rebuilt"]["inputs_live"]) == (ExitCode.DONE, 10)


def test_the_last_days_of_all_time_harm_nobody(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    """Clocks that show the end of 9999: their rows are `future`, on the last day `no_time`."""
    (root / "v6share.toml").write_text("[time]\nreporting_utc_offset_minutes = 840\n")
    last = 253_402_300_800_000 - DAY_MS
    write_flows(tmp_path / "flows/near.parquet", start_ms=last - 3_600_000)
    write_flows(tmp_path / "flows/past.parquet", start_ms=last)
    write_flows(tmp_path / "flows/good.parquet")
    code, done, err = run(capsys, root, tmp_path / "flows")
    assert (code, done["rows_counted"], done["rows_rejected"]) == (ExitCode.DONE, 4, 8), err
    for view in ("traffic_1d", "clients_1d", "kpi_headline"):
        assert call(capsys, root, "kpi", view, "--format", "json")[0] is ExitCode.DONE
    assert call(capsys, root, "status")[0] is ExitCode.DONE
    assert call(capsys, root, "forget", tmp_path / "flows/near.parquet")[0] is ExitCode.DONE


def test_negative_counters_stay_in_the_ledger_and_are_no_traffic_in_status(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path
) -> None:
    run(capsys, root, write_flows(tmp_path / "a.parquet", octets=-1000))
    (kept,) = json.loads(call(capsys, root, "kpi", "rejects", "--format", "json")[1])
    assert (kept["reason"], kept["sampled_bytes"]) == ("bad_counter", -4000)
    (shown,) = json.loads(call(capsys, root, "status", "--format", "json")[1])["rejects"]
    assert (shown["rows"], shown["sampled_packets"], shown["sampled_bytes"]) == (4, None, None)


@pytest.mark.parametrize("kind", [pa.uint64(), pa.decimal128(20, 0), pa.string()])
def test_counters_that_take_all_64_bits_are_in_the_account_to_the_byte(
    capsys: pytest.CaptureFixture[str], root: Path, tmp_path: Path, kind: pa.DataType
) -> None:
    path = write_flows(tmp_path / "a.parquet", rows=8)
    table = pq.read_table(path)
    for name, values in (
        ("packetDeltaCount", [1, 2**64 - 1, 2**63, 2**63 - 1, 2, 3, None, 4]),
        ("octetDeltaCount", [100, 2**64 - 1, 2**64 - 2, 2**63, 2**63 + 7, 300, None, 2**62]),
    ):
        column = pa.array(values, pa.uint64())
        wide = column.cast(pa.decimal128(20, 0)) if pa.types.is_decimal(kind) else column
        table = table.set_column(table.schema.get_field_index(name), name, wide.cast(kind))
    pq.write_table(table, path)
    code, summary, err = run(capsys, root, path)
    assert (code, summary["rows_counted"]) == (ExitCode.DONE, 2), err
    per_family = (
        "SELECT {family} AS family, count(*), sum({packets}::HUGEINT)::HUGEINT, "
        "sum({octets}::HUGEINT)::HUGEINT FROM {table} GROUP BY ALL ORDER BY ALL"
    )
    in_file = duckdb.sql(
        per_family.format(
            family="if(sourceIPv4Address IS NULL, 'v6', 'v4')",
            packets="packetDeltaCount",
            octets="octetDeltaCount",
            table=f"'{path}'",
        )
    ).fetchall()
    with duckdb.connect(root / "published" / "v6share.duckdb", read_only=True) as published:
        kept = published.sql(
            "SELECT family, sum(rows), sum(sampled_packets)::HUGEINT, sum(sampled_bytes)::HUGEINT "
            "FROM ledger_families GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    assert kept == in_file


TIME = JANUARY_1 // 1000
# A row of each dialect; what its packets and its bytes are called.
ROWS = {
    "pmacct": (
        {"ip_src": "192.0.2.1", "ip_dst": "192.0.2.2", "timestamp_start": TIME},
        "packets",
        "bytes",
    ),
    "goflow2": (
        {"src_addr": "192.0.2.1", "dst_addr": "192.0.2.2", "time_flow_start_ns": TIME * 10**9},
        "packets",
        "bytes",
    ),
    "ipfix": (
        {
            "sourceIPv4Address": "192.0.2.1",
            "destinationIPv4Address": "192.0.2.2",
            "flowStartSeconds": TIME,
        },
        "packetDeltaCount",
        "octetDeltaCount",
    ),
}


@pytest.mark.parametrize("dialect", ROWS)
@pytest.mark.parametrize("lacking", [("packets",), ("bytes",), ("packets", "bytes")])
def test_a_column_of_counters_that_is_not_there_is_one_without_values_and_is_named(
    capsys: pytest.CaptureFixture[str],
    root: Path,
    tmp_path: Path,
    dialect: str,
    lacking: tuple[str, ...],
) -> None:
    row, packets, octets = ROWS[dialect]
    names = {"packets": packets, "bytes": octets}
    narrow = row | {names[counter]: 7 for counter in names if counter not in lacking}
    wide = row | dict.fromkeys((packets, octets)) | narrow
    pq.write_table(pa.Table.from_pylist([narrow] * 3), tmp_path / "narrow.parquet")
    kinds = [pa.field(names[counter], pa.int64()) for counter in lacking]
    fields = [*pa.Table.from_pylist([narrow]).schema, *kinds]
    pq.write_table(pa.Table.from_pylist([wide] * 3, pa.schema(fields)), tmp_path / "wide.parquet")
    code, done, err = run(capsys, root, tmp_path / "narrow.parquet", tmp_path / "wide.parquet")
    assert (code, done["inputs_committed"], done["rows_rejected"]) == (ExitCode.DONE, 2, 6), err
    kept = {}
    with duckdb.connect(root / "published" / "v6share.duckdb", read_only=True) as published:
        for table in ("rejects", "ledger_families", "ledger_findings"):
            for file in ("narrow", "wide"):
                kept[table, file] = published.sql(
                    f"SELECT * EXCLUDE input_id FROM {table} SEMI JOIN "
                    f"(FROM ledger_files WHERE path LIKE '%{file}.parquet') USING (input_id) "
                    f"WHERE COLUMNS(*)::VARCHAR NOT LIKE 'rejected: %' ORDER BY ALL"
                ).fetchall()
    sums = tuple(0 if counter in lacking else 21 for counter in names)
    assert kept["rejects", "narrow"] == kept["rejects", "wide"] == [("no_counters", 3, *sums)]
    assert kept["ledger_families", "narrow"] == kept["ledger_families", "wide"]
    found = [("", f"no column of {counter}", 3, 0, "") for counter in sorted(lacking)]
    assert (kept["ledger_findings", "narrow"], kept["ledger_findings", "wide"]) == (found, [])
    out = call(capsys, root, "inspect", tmp_path / "narrow.parquet", "--format", "json")[1]
    shown = {one["finding"]: one["rows"] for one in json.loads(out)["findings"]}
    assert shown.items() >= {(name, rows) for _, name, rows, *_ in found}


def test_endpoints_show_without_counting_again(
    capsys: pytest.CaptureFixture[str], root: Path, flows: Path
) -> None:
    assert call(capsys, root, "init")[0] is ExitCode.DONE
    run(capsys, root, flows)
    products = root / "catalog" / "products.toml"
    products.write_text('[[product]]\nid = "object-storage"\nname = "Objects"\ncore = true\n')
    endpoints = root / "catalog" / "endpoints.csv"
    endpoints.write_text("app,product,region,planned_on,enabled_on\n,object-storage,r1,,\n")
    code, done, _ = run(capsys, root, flows)
    assert code is ExitCode.DONE
    assert (done["inputs_committed"], done["published"]) == (0, True)
    out = call(capsys, root, "kpi", "dim_endpoints", "--format", "json")[1]
    assert [row["region"] for row in json.loads(out)] == ["r1"]
