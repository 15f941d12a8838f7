"""An independent count of raw files agrees with the ledger, and finds where that is not right."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sample_run import SAMPLE, Counted
from shared_files import CAPTURES, PLAYED_AGAIN, needs_captures
from workspaces import make_workspace, run_json, v6share

from v6share.jobs import cli
from v6share.pipelines import identity
from v6share.schemas.dialects import Dialect, parse_dialect
from v6share.warehouse import reconcile as under_test

# A row of each family, as two exporters' columns would have it; they count otherwise.
BOTH_FIT = {
    "src_addr": ["198.51.100.1", "2001:db8:1::1"],
    "dst_addr": ["203.0.113.9", "2001:db8:2::9"],
    "time_flow_start_ns": [1_767_225_600_000_000_000] * 2,
    "time_flow_end_ns": [1_767_225_601_000_000_000] * 2,
    "packets": [2, 3],
    "bytes": [2000, 3000],
    "sampling_rate": [100, 100],
    "sampler_address": ["192.0.2.1"] * 2,
    "sourceIPAddress": ["2001:db8:1::1"] * 2,
    "destinationIPAddress": ["2001:db8:2::9"] * 2,
    "flowStartMilliseconds": [1_767_225_600_000] * 2,
    "flowEndMilliseconds": [1_767_225_601_000] * 2,
    "packetDeltaCount": [7, 8],
    "octetDeltaCount": [7000, 8000],
    "samplingInterval": [100, 100],
    "exporterIPAddress": ["192.0.2.1"] * 2,
    "protocolIdentifier": [6, 6],
    "sourceTransportPort": [443, 443],
    "destinationTransportPort": [50_000, 50_000],
}


def reconcile(root: Path, *paths: object) -> tuple[int, list[dict[str, object]], str]:
    code, out, err = v6share(root, "reconcile", *paths, "--format", "json")
    return code, json.loads(out), err


def test_the_sample_is_counted_as_plain_sql_counts_it(counted: Counted) -> None:
    code, found, err = reconcile(counted.root, SAMPLE / "flows")
    assert (code, found) == (0, []), err
    assert "52 of 52 inputs" in err
    assert "The tables hold what the ledger counted" in err


@needs_captures
def test_real_exports_are_counted_as_plain_sql_counts_them(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "ws")
    (root / "v6share.toml").write_text(PLAYED_AGAIN)
    folders = [CAPTURES / name for name in ("goflow2", "goflow2-bin", "pmacct")]
    assert run_json(root, "--unknown-sampling", "unsampled", *folders)[0] == 0
    code, found, err = reconcile(root, *folders)
    assert (code, found) == (0, []), err
    assert "148 of 148 inputs" in err


@pytest.fixture
def harmed(counted: Counted, tmp_path: Path) -> Path:
    """A copy whose published file may be changed."""
    root = tmp_path / "ws"
    shutil.copytree(counted.root / "published", root / "published")
    (root / "catalog").mkdir()
    return root


def change(root: Path, sql: str) -> None:
    with duckdb.connect(root / "published" / "v6share.duckdb") as published:
        published.execute(sql)


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        ("UPDATE ledger_families SET rows = rows + 1 WHERE family = 'v6'", {"rows"}),
        ("UPDATE ledger_families SET sampled_bytes = 0 WHERE family = 'v4'", {"bytes"}),
        (
            "UPDATE ledger_families SET family = CASE family WHEN 'v4' THEN 'v6' ELSE 'v4' END",
            {"rows", "packets", "bytes"},
        ),
        ("UPDATE rejects SET rows = 1000 WHERE reason = 'zero_packets'", {"rows without packets"}),
    ],
)
def test_what_the_ledger_has_otherwise_is_found(harmed: Path, harm: str, what: set[str]) -> None:
    change(harmed, harm)
    code, found, _ = reconcile(harmed, SAMPLE / "flows")
    assert code == 3
    assert {one["what"] for one in found if one["path"] != "tables"} == what


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        ("UPDATE traffic_5m SET bytes = bytes + 1 WHERE family = 'v6'", {("bytes", "traffic_5m")}),
        ("UPDATE traffic_1d SET packets = 1 WHERE family = 'v6'", {("packets", "traffic_1d")}),
        (
            "DELETE FROM traffic_1h WHERE family = 'v6'",
            {(what, "traffic_1h") for what in ("rows", "packets", "bytes")},
        ),
        (
            "UPDATE ledger_families SET bytes = bytes + 1 WHERE family = 'v6' AND bytes > 0",
            {("bytes", f"traffic_{window}") for window in ("5m", "1h", "1d")},
        ),
    ],
)
def test_what_the_tables_hold_otherwise_is_found(
    harmed: Path, harm: str, what: set[tuple[str, str]]
) -> None:
    change(harmed, harm)
    code, found, err = reconcile(harmed, min((SAMPLE / "flows").rglob("*.parquet")))
    assert code == 3
    assert "1 of 1 inputs" in err
    assert "The tables hold something else than the ledger" in err
    assert {(one["path"], one["family"]) for one in found} == {("tables", "v6")}
    assert {tuple(str(one["what"]).split(" in ")) for one in found} == what
    assert all(one["in_ledger"] != one["in_tables"] for one in found)


def test_what_does_not_count_is_told_apart(harmed: Path, tmp_path: Path) -> None:
    """One that was refused, one that was withdrawn, one that the ledger never met."""
    names = sorted((SAMPLE / "flows").rglob("*.parquet"))[:3]
    new = tmp_path / "new.parquet"
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM read_parquet('{names[0]}') LIMIT 10) TO '{new}'")
    status = "UPDATE ledger_files SET status = '{}', reason = '{}' WHERE input_id = '{}'"
    for name, said in ((names[1], ("quarantined", "unreadable")), (names[2], ("forgotten", "odd"))):
        change(harmed, status.format(*said, hashlib.sha256(name.read_bytes()).hexdigest()))
    code, found, err = reconcile(harmed, new, *names)
    assert code == 3
    assert {
        Path(str(one["path"])).name: one["what"] for one in found if one["path"] != "tables"
    } == {
        "new.parquet": "not in the ledger",
        names[1].name: "quarantined: unreadable",
        names[2].name: "forgotten: odd",
    }
    assert "1 of 4 inputs are in the published ledger" in err
    assert "0 differ, 1 were refused, 1 are forgotten, 1 are unknown to it" in err


def test_a_refused_file_does_not_agree(tmp_path: Path) -> None:
    flows = tmp_path / "flows"
    flows.mkdir()
    names = sorted((SAMPLE / "flows").rglob("*.parquet"))[:2]
    shutil.copy(names[0], flows)
    (flows / "cut.parquet").write_bytes(names[1].read_bytes()[:3000])
    # One that was just written might be whole a moment later, and is left alone.
    os.utime(flows / "cut.parquet", (1_767_225_600, 1_767_225_600))
    root = make_workspace(tmp_path / "ws")
    assert run_json(root, flows)[0] == 1
    code, found, err = reconcile(root, flows)
    assert code == 3
    assert [one["what"] for one in found] == ["quarantined: unreadable"]
    assert "1 of 2 inputs" in err
    assert "1 were refused" in err


def test_a_name_is_no_pattern(tmp_path: Path) -> None:
    """DuckDB would take ``a[1].parquet`` for ``a1.parquet``, and ``?`` for any letter."""
    flows = tmp_path / "flows"
    flows.mkdir()
    odd = ("a[1].parquet", "b?.parquet", "c\\[1].parquet", "d*.parquet")
    names = sorted((SAMPLE / "flows").rglob("*.parquet"))
    for name, source in zip((*odd, "a1.parquet", "bx.parquet", "dx.parquet"), names, strict=False):
        shutil.copy(source, flows / name)
    root = make_workspace(tmp_path / "ws")
    assert run_json(root, flows)[0] == 0
    code, found, err = reconcile(root, flows)
    assert (code, found) == (0, []), err


def test_a_file_is_counted_with_the_dialect_that_it_was_counted_with(tmp_path: Path) -> None:
    """Both dialects fit these columns; the one that was named knows fewer of them."""
    flows = tmp_path / "flows.parquet"
    pq.write_table(pa.table(BOTH_FIT), flows)
    root = make_workspace(tmp_path / "ws")
    assert run_json(root, flows, "--dialect", "goflow2")[0] == 0
    code, found, err = reconcile(root, flows)
    assert (code, found) == (0, []), err


def test_marks_between_thousands_are_read_as_the_dialect_says(tmp_path: Path) -> None:
    flows = tmp_path / "flows.parquet"
    octets = ["1,234", "12", "1,23", None]
    pq.write_table(pa.table({"a": ["198.51.100.1"] * 4, "p": [1] * 4, "b": octets}), flows)
    dialect = parse_dialect(
        "x.toml",
        b"""
name = "x"
title = "marks between thousands"
requires = ["a"]
[columns]
src = ["a"]
packets = ["p"]
octets = [{ column = "b", thousands = "," }]
""",
    )
    counted = under_test.count_raw(str(flows), dialect)
    assert counted.families == {"v4": under_test.Sums(4, 4, 1246)}


def test_what_is_wrong_with_a_file_is_said_of_it_alone(
    counted: Counted,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And the words of DuckDB about a value are not handed on: it may be an address."""
    # A copy: the file itself may be open in this process already, and otherwise.
    root = shutil.copytree(counted.root, tmp_path / "ws")
    closed, odd, good = sorted((SAMPLE / "flows").rglob("*.parquet"))[:3]
    digest, count = identity._digest, under_test._count
    errors: list[duckdb.Error] = []

    def of_open_ones(path: str) -> identity.Identity:
        if path == str(closed):
            raise PermissionError(13, "Permission denied", path)
        return digest(path)

    def at_last(path: str, dialect: Dialect) -> under_test.Counted:
        if errors:
            raise errors.pop()
        return count(path, dialect)

    monkeypatch.setattr(identity, "_digest", of_open_ones)
    monkeypatch.setattr(under_test, "_count", at_last)
    for error, wanted in (
        (duckdb.ConversionException("'198.51.100.7' is none"), "DuckDB ends with Conversion"),
        (duckdb.IOException("IO Error: nothing can be read"), "IO Error: nothing can be read"),
    ):
        errors.append(error)
        names = map(str, (closed, odd, good))
        code = cli.call(["-C", str(root), "reconcile", *names, "--format", "json"])
        out, err = capsys.readouterr()
        found = {one["path"]: one["what"] for one in json.loads(out)}
        assert code == 1
        assert found.keys() == {str(closed), str(odd)}
        assert found[str(closed)] == "cannot be read: Permission denied"
        assert found[str(odd)].startswith(f"cannot be counted: {wanted}")
        assert "198.51.100.7" not in out + err
        assert "1 of 3 inputs are in the published ledger" in err
        assert "2 could not be counted again" in err
