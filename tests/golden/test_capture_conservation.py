"""Real exports through the real command line: nothing is lost, and what cannot be read is named.

The oracle is plain DuckDB SQL over the raw Parquet that knows only where a collector writes its
addresses and counters. Where the ledger must differ from what the columns show, the file stands
below with the reason.
"""

import json
import os
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
from damage import write_stray_codes
from shared_files import CAPTURES, CORPORA, PLAYED_AGAIN, needs_captures, needs_corpora
from workspaces import journal, make_workspace, read, run_json

pytestmark = needs_captures

FOLDERS = {"goflow2": "goflow2", "goflow2-bin": "goflow2", "pmacct": "pmacct"}
FILES = sorted(
    str(path.relative_to(CAPTURES))
    for folder in FOLDERS
    for path in (CAPTURES / folder).glob("*.parquet")
)
OTHERS = ("nfdump-csv", "nfdump-json")
GOOD = "goflow2/all_goflow2.parquet"
LONG_AGO = 1_600_000_000

# (rows, packets, bytes)
Sums = tuple[int, int, int]

# The addresses shown are those inside an SRv6 tunnel, whose outer ones stand in tunnel_ip_src:
# rows that look like IPv4 crossed the wire as IPv6. What moves from v4 to v6:
IPV4_INSIDE_IPV6: dict[str, Sums] = {
    "pmacct/pmexp_400.parquet": (26, 15607, 3495968),
    "pmacct/pmexp_500.parquet": (4, 157, 18988),
}

# Files whose raw information elements (the manifest's raw_reference) say what no column shows.
BEYOND_THE_COLUMNS = {
    "ls_nf9_nprobe": "both addresses are zero; only the ethertype says IPv4",
    "pm400_a_srv6": "SRv6 records with both families, of which the collector keeps the inner one",
    "pm400_a_srv6__duckdb": "as pm400_a_srv6",
    "pm500_srv6": "as pm400_a_srv6",
    "ls_nf9_asa1": "events with total counters only; the collector writes 0",
    "ls_ipfix_yaf": "total counters only; the collector writes 0",
    "tg_ipfix_example": "total counters only; the collector writes 0",
    "ls_nf9_fortigate521": "out counters only; the collector writes 0",
    "pm104_iosxr_ipfix_v6_sampling__renorm": "scaled by the collector, and by a misread rate",
    "zk_teredo_sd9s4__renorm": "scaled by the collector already",
    "ip_mixed_sd10": "rows merged by pmacct's aggregation",
    "ip_mixed_sd10b": "rows merged by pmacct's aggregation, and no reverse direction",
}

REJECTED_ROWS = {
    # Replayed exporters stamp flows that end over 10 minutes after the export; and one flow of
    # nProbe ends in 2105.
    "future": {
        "goflow2/all_goflow2.parquet": 70,
        "goflow2/ip_dnssd_sd9.parquet": 7,
        "goflow2/ip_mixed_sd9.parquet": 41,
        "goflow2/zk_ftp_ipv6_sd9.parquet": 12,
        "goflow2/zk_teredo_sd9s4.parquet": 10,
        "pmacct/all_pmacct.parquet": 9,
        "pmacct/ls_nf9_nprobe.parquet": 1,
        "pmacct/tg_nf9.parquet": 8,
    },
    "no_time": {
        # Empty rows of a run that printed neither counters nor times.
        "pmacct/tg_sflow_15918__sampling_direction.parquet": 6,
    },
}


@dataclass(frozen=True)
class Ran:
    root: Path
    code: int
    run: dict[str, Any]
    rejects: dict[str, int]
    said: str


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    root = make_workspace(tmp_path_factory.mktemp("captures") / "ws")
    (root / "v6share.toml").write_text(PLAYED_AGAIN)
    folders = [CAPTURES / folder for folder in FOLDERS]
    code, data, said = run_json(root, "--unknown-sampling", "unsampled", *folders)
    rejects = {one["reason"]: one["rows"] for one in data.get("rejects", [])}
    return Ran(root, code, data.get("run", {}), rejects, said)


@pytest.fixture(scope="module")
def snapshot(ran: Ran) -> Iterator[duckdb.DuckDBPyConnection]:
    with read(ran.root) as connection:
        yield connection


@pytest.fixture(scope="module")
def ledger(snapshot: duckdb.DuckDBPyConnection) -> dict[str, dict[str, Sums]]:
    """Per file and family: what was counted and what was rejected, as exported."""
    found: dict[str, dict[str, Sums]] = defaultdict(dict)
    for path, family, *sums in snapshot.execute(
        """SELECT path, family, sum(rows), sum(sampled_packets), sum(sampled_bytes)
        FROM ledger_families JOIN ledger_files USING (input_id) GROUP BY ALL"""
    ).fetchall():
        rows, packets, octets = map(int, sums)
        found[str(Path(path).relative_to(CAPTURES))][family] = (rows, packets, octets)
    return found


@pytest.fixture(scope="module")
def manifest() -> dict[str, dict[str, Any]]:
    return {e["file"]: e for e in json.loads((CAPTURES / "MANIFEST.json").read_text())}


def columns_of(file: str) -> set[str]:
    return {row[0] for row in duckdb.sql(f"DESCRIBE FROM '{CAPTURES / file}'").fetchall()}


def family_of(file: str) -> str:
    """The SQL that tells a row's family: addresses first, the ethertype where there are none."""
    if file.startswith("goflow2-bin"):
        v4, v6 = (f"octet_length(src_addr) = {n} OR octet_length(dst_addr) = {n}" for n in (4, 16))
        named = "CASE etype WHEN 2048 THEN 'v4' WHEN 34525 THEN 'v6' ELSE 'unknown' END"
    else:
        src, dst = ("ip_src", "ip_dst") if file.startswith("pmacct") else ("src_addr", "dst_addr")
        v4 = " OR ".join(f"({a} LIKE '%.%' AND {a} <> '0.0.0.0')" for a in (src, dst))
        v6 = " OR ".join(f"({a} LIKE '%:%' AND {a} <> '::')" for a in (src, dst))
        named = (
            "CASE lower(etype::VARCHAR) WHEN '800' THEN 'v4' WHEN 'ipv4' THEN 'v4' "
            "WHEN '86dd' THEN 'v6' WHEN 'ipv6' THEN 'v6' ELSE 'unknown' END"
            if "etype" in columns_of(file)
            else "'unknown'"
        )
    return (
        f"CASE WHEN ({v4}) AND ({v6}) THEN 'unknown' WHEN {v4} THEN 'v4' WHEN {v6} THEN 'v6' "
        f"ELSE {named} END"
    )


def counter(name: str, columns: set[str]) -> str:
    return name if name in columns else "0"


def by_sql(file: str) -> dict[str, Sums]:
    columns = columns_of(file)
    packets, octets = (counter(name, columns) for name in ("packets", "bytes"))
    found = duckdb.sql(
        f"""SELECT {family_of(file)} AS family, count(*), coalesce(sum({packets}), 0)::HUGEINT,
          coalesce(sum({octets}), 0)::HUGEINT FROM '{CAPTURES / file}' GROUP BY ALL"""
    ).fetchall()
    return {family: (int(rows), int(p), int(o)) for family, rows, p, o in found}


def moved(sums: dict[str, Sums], what: Sums) -> dict[str, Sums]:
    """The sums with some of v4 counted as v6."""
    zero = (0, 0, 0)
    v4 = tuple(a - b for a, b in zip(sums.get("v4", zero), what, strict=True))
    v6 = tuple(a + b for a, b in zip(sums.get("v6", zero), what, strict=True))
    changed = sums | {"v4": v4, "v6": v6}
    return {family: values for family, values in changed.items() if any(values)}  # type: ignore[misc]


def test_all_captures_are_committed(ran: Ran) -> None:
    assert ran.code == 0, ran.said
    assert len(FILES) == 148
    assert ran.run["inputs_found"] == ran.run["inputs_committed"] == len(FILES)
    assert ran.run["inputs_quarantined"] == 0


@pytest.mark.parametrize("file", FILES)
def test_every_row_packet_and_byte_is_in_the_ledger(
    file: str, ledger: dict[str, dict[str, Sums]], manifest: dict[str, dict[str, Any]]
) -> None:
    expected = by_sql(file)
    assert sum(rows for rows, _, _ in expected.values()) == manifest[file]["rows"]
    if file in IPV4_INSIDE_IPV6:
        expected = moved(expected, IPV4_INSIDE_IPV6[file])
    assert ledger[file] == expected


def test_the_ledger_is_the_raw_elements_but_for_what_no_column_shows(
    ledger: dict[str, dict[str, Sums]], manifest: dict[str, dict[str, Any]]
) -> None:
    differing = set()
    compared = 0
    for file in FILES:
        raw = manifest[file].get("raw_reference")
        if raw is None:
            continue
        compared += 1
        expected = {
            "unknown" if family == "none" else family: (rows, raw["bytes_by_family"][family])
            for family, rows in raw["rows_by_family"].items()
        }
        if {f: (rows, octets) for f, (rows, _, octets) in ledger[file].items()} != expected:
            differing.add(Path(file).stem)
    assert compared >= 80
    assert differing == BEYOND_THE_COLUMNS.keys()


def test_rejects_are_the_expected_ones(ran: Ran, snapshot: duckdb.DuckDBPyConnection) -> None:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for reason, path, rows in snapshot.execute(
        """SELECT r.reason, f.path, r.rows FROM rejects r JOIN ledger_files f USING (input_id)"""
    ).fetchall():
        found[reason][str(Path(path).relative_to(CAPTURES))] = rows
    zero = {
        file: rows
        for file in FILES
        if "packets" in columns_of(file)
        and not file.endswith("__sampling_direction.parquet")  # no_time comes first
        and (
            rows := duckdb.sql(
                f"SELECT count(*) FROM '{CAPTURES / file}' WHERE packets = 0"
            ).fetchall()[0][0]
        )
    }
    assert found == REJECTED_ROWS | {"zero_packets": zero}
    assert ran.rejects == {reason: sum(files.values()) for reason, files in found.items()}
    assert ran.run["rows_rejected"] == sum(ran.rejects.values())
    assert ran.run["rows_in"] == ran.run["rows_counted"] + ran.run["rows_rejected"]


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("goflow2")])
def test_scaling_is_rate_times_layer_3(file: str, snapshot: duckdb.DuckDBPyConnection) -> None:
    """sFlow's frames lose 18 bytes a packet; a rate of 0 is unknown, and unsampled by the flag."""
    sflow = "type::VARCHAR IN ('SFLOW_5', '1')"
    expected = duckdb.sql(
        f"""SELECT {family_of(file)} AS family,
          sum(greatest(sampling_rate, 1) * packets)::HUGEINT,
          sum(greatest(sampling_rate, 1)
            * (bytes - CASE WHEN {sflow} THEN 18 * packets ELSE 0 END))::HUGEINT
        FROM '{CAPTURES / file}'
        WHERE packets > 0 AND time_flow_end_ns <= time_received_ns + 600_000_000_000
        GROUP BY ALL"""
    ).fetchall()
    found = snapshot.execute(
        """SELECT family, sum(packets)::HUGEINT, sum(bytes)::HUGEINT
        FROM ledger_families JOIN ledger_files USING (input_id)
        WHERE path = ? AND disposition = 'counted' GROUP BY ALL""",
        [str(CAPTURES / file)],
    ).fetchall()
    assert sorted(found) == sorted(expected)


def test_traffic_is_what_was_counted(snapshot: duckdb.DuckDBPyConnection) -> None:
    sums = "sum(packets)::HUGEINT, sum(bytes)::HUGEINT, sum(sampled_bytes)::HUGEINT"
    counted = snapshot.execute(
        f"""SELECT family, sum(rows)::HUGEINT, {sums} FROM ledger_families
        WHERE disposition = 'counted' GROUP BY family ORDER BY family"""
    ).fetchall()
    assert [row[0] for row in counted] == ["unknown", "v4", "v6"]
    for table in ("traffic_5m", "traffic_1h", "traffic_1d"):
        assert (
            snapshot.execute(
                f"""SELECT family, sum(records)::HUGEINT, {sums} FROM {table}
                GROUP BY family ORDER BY family"""
            ).fetchall()
            == counted
        )


def test_rows_without_addresses_are_unknown_in_traffic(
    snapshot: duckdb.DuckDBPyConnection,
) -> None:
    """143 MB that a naive reader books as IPv4."""
    (families,) = snapshot.execute(
        """SELECT map_from_entries(list((family, sampled_bytes))) FROM ledger_families
        JOIN ledger_files USING (input_id) WHERE path LIKE '%/goflow2/ls_nf9_wlc.parquet'"""
    ).fetchone() or ({},)
    assert families == {"unknown": 142_991_108}


# -- what cannot be read --------------------------------------------------------------------------


class Refused(NamedTuple):
    ran: Ran
    folders: list[Path]
    bad: list[Path]
    contents: set[str]


def aged_copy(folder: Path, into: Path) -> Path:
    """A copy whose files look a day old: what is unreadable and young counts as being written."""
    copy = shutil.copytree(folder, into / folder.name)
    yesterday = time.time() - 86_400
    for path in copy.rglob("*.parquet"):
        os.utime(path, (yesterday, yesterday))
    return copy


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Refused:
    """A run over files of no dialect and damaged ones, with one good file among them."""
    root = make_workspace(tmp_path_factory.mktemp("refused") / "ws")
    (root / "v6share.toml").write_text(PLAYED_AGAIN)
    # Only whoever reads its values finds this one damaged: its counting has begun by then.
    stray = tmp_path_factory.mktemp("stray")
    write_stray_codes(stray / "stray.parquet", 1000)
    os.utime(stray / "stray.parquet", (LONG_AGO, LONG_AGO))
    folders = [stray, *(CAPTURES / folder for folder in OTHERS)]
    bad = [path for folder in folders for path in sorted(folder.glob("*.parquet"))]
    if CORPORA.exists():
        corpora = aged_copy(CORPORA, tmp_path_factory.mktemp("corpora"))
        folders.append(corpora)
        bad += sorted(path for path in corpora.rglob("*.parquet") if path.name[0] not in "_.")
    code, data, said = run_json(root, "--unknown-sampling", "unsampled", CAPTURES / GOOD, *folders)
    contents = {path.read_bytes().hex() for path in bad}
    return Refused(Ran(root, code, data.get("run", {}), {}, said), folders, bad, contents)


def test_bad_files_are_quarantined_and_the_good_one_counts(
    refused: Refused,
) -> None:
    ran, _, bad, contents = refused
    assert ran.code == 1, ran.said
    assert ran.run["outcome"] == "quarantined-some"
    assert ran.run["inputs_committed"] == 1
    assert ran.run["rows_in"] == sum(rows for rows, _, _ in by_sql(GOOD).values())
    assert ran.run["published"] is True
    assert ran.run["inputs_found"] == len(bad) + 1
    # A copy of a bad file is the same input; it is refused once.
    assert ran.run["inputs_quarantined"] == len(contents)
    assert f"{len(contents) - 10} more inputs were quarantined" in ran.said


def told(ran: Ran) -> dict[str, dict[str, Any]]:
    """What ``state/quarantine`` says, by path."""
    files = [json.loads(p.read_text()) for p in (ran.root / "state" / "quarantine").iterdir()]
    return {file["path"]: file for file in files}


@pytest.mark.parametrize(
    ("folder", "columns"),
    [("nfdump-csv", ("sa", "da", "ibyt")), ("nfdump-json", ("src4_addr", "in_bytes", "proto"))],
)
def test_a_file_of_no_dialect_is_told_what_is_missing(
    refused: Refused, folder: str, columns: tuple[str, ...]
) -> None:
    ran, _, bad, _ = refused
    refusals = {path: one for path, one in told(ran).items() if f"/{folder}/" in path}
    assert len(refusals) >= len([path for path in bad if path.parent.name == folder]) - 5
    for path, one in refusals.items():
        assert one["reason"] == "no_dialect", path
        assert "found the columns " in one["detail"]
        assert "the nearest dialect, " in one["detail"]
        assert " misses " in one["detail"]
        assert "--dialect" in one["detail"]
        assert f"`v6share quarantine retry {one['input_id'][:16]}`" in one["how_to_retry"]
        shown = one["detail"].partition("; ")[0]
        present = columns_of(str(Path(path).relative_to(CAPTURES)))
        assert all(column in shown for column in columns if column in present)


@needs_corpora
def test_damaged_files_are_refused_with_a_reason(
    refused: Refused,
) -> None:
    ran, folders, _, _ = refused
    reasons: Counter[str] = Counter()
    for path, one in told(ran).items():
        if path.startswith(str(folders[-1])):
            reasons[one["reason"]] += 1
            assert one["detail"]
            assert one["reason"] != "unexpected", one
    assert sum(reasons.values()) >= 130
    assert {"unreadable", "no_dialect"} <= reasons.keys()


def test_the_next_run_skips_what_was_refused(
    refused: Refused,
) -> None:
    ran, folders, bad, contents = refused
    before = told(ran)
    entries = len(journal(ran.root))
    code, data, said = run_json(ran.root, "--unknown-sampling", "unsampled", *folders)
    assert code == 0, said
    run = data["run"]
    assert run["outcome"] == "no-op"
    assert (run["inputs_quarantined"], run["inputs_quarantined_before"]) == (0, len(bad))
    assert told(ran) == before
    assert len(before) == len(contents)
    assert [entry["type"] for entry in journal(ran.root)[entries:]] == ["run"]
