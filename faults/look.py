"""What is to be seen after a fault, looked at from outside: by plain SQL and by file names."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from bench.differences import compare_tables
from faults.processes import Ended

ROOT: Final = Path(__file__).parents[1]
# When and by which run something was done is no property of the flows.
_TABLES_OF_THE_RUN: Final = ("ledger_runs", "ledger_final_days", "checks", "check_results")
_OF_THE_RUN: Final = {
    "ledger_files": ("run_id", "committed_at", "sealed_at"),
    "ledger_keys": ("since",),
    "ledger_pruned": ("pruned_at", "run_id"),
}
_SUMS: Final = (
    "SELECT (SELECT count(*) FROM ledger_files), (SELECT sum(bytes) FROM traffic_5m), "
    "(SELECT sum(records) FROM traffic_1d), (SELECT count(*) FROM ledger_runs)"
)
_HELD_SECONDS: Final = 0.3
_PAUSE_SECONDS: Final = 0.1
_CODES: Final = (0, 1, 2, 3, 4, 5, 6, 70, 130)
_FULL: Final = "no space left"

# Every file that may be in a workspace when no command is at work.
_KEPT: Final = re.compile(
    r"(catalog|quality)/[^/]+|v6share\.toml"
    r"|state/(warehouse\.duckdb|journal\.jsonl|client\.key|lock|wanted|stream\.lock|stream\.json)"
    r"|state/fragments/[0-9a-f]{2}/[0-9a-f]{64}\.parquet|state/quarantine/[0-9a-f]{16}\.json"
    r"|state/bases/[0-9TZ]+-[0-9a-f]{8}\.duckdb"
    r"|published/(v6share|\.standby)\.duckdb"
)
# What workers leave that were killed. It is removed by the next run that counts something, when it
# is old enough to be nobody's: other workers may be at work in these folders without the lock.
_OF_KILLED_WORKERS: Final = re.compile(
    r"state/fragments/[0-9a-f]{2}/\.[^/]+\.draft|state/(outcomes|recounted)/.+"
)


def open_published(root: Path) -> duckdb.DuckDBPyConnection:
    """The published file, as any reader opens it: once more, where it was replaced just then."""
    path = root / "published" / "v6share.duckdb"
    while True:
        before = path.stat().st_ino
        try:
            return duckdb.connect(str(path), read_only=True)
        except duckdb.Error:
            if path.stat().st_ino == before:
                raise


def tables_of(root: Path) -> dict[str, pa.Table]:
    """Every table of the published file, ORDER BY ALL; of the ledger what counts now."""
    with open_published(root) as connection:
        names = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'main' ORDER BY 1"
        ).fetchall()
        return {
            name: _ordered(connection, name) for (name,) in names if name not in _TABLES_OF_THE_RUN
        }


def _ordered(connection: duckdb.DuckDBPyConnection, name: str) -> pa.Table:
    columns = ", ".join(_OF_THE_RUN.get(name, ()))
    kept = f"* EXCLUDE ({columns})" if columns else "*"
    live = "WHERE status = 'committed'" if name == "ledger_files" else ""
    query = f"SELECT {kept} FROM {name} {live} ORDER BY ALL"
    return connection.sql(query).to_arrow_table().combine_chunks()


def differences(root: Path, wanted: Mapping[str, pa.Table]) -> str:
    """What tables of a workspace differ in from those that are wanted; empty where in nothing."""
    found = compare_tables(wanted, tables_of(root)).different
    return "; ".join(f"{name}: {what}" for name, what in found.items())


def differences_of_numbers(root: Path, wanted: Mapping[str, pa.Table]) -> str:
    """The same of those tables that do not name inputs."""
    named = {name: table for name, table in tables_of(root).items() if not _names_inputs(table)}
    of_numbers = {name: table for name, table in wanted.items() if not _names_inputs(table)}
    return "; ".join(compare_tables(of_numbers, named).different)


def _names_inputs(table: pa.Table) -> bool:
    return "input_id" in table.column_names


def what_readers_miss(root: Path, held_seconds: float = 0.0) -> str:
    """What is wrong with the published file, by the checks that must hold for it; empty: nothing.

    Where there is none yet, nothing is wrong. held_seconds: how long it is kept open; what was
    opened stays as it is, whatever is published meanwhile.
    """
    if not (root / "published" / "v6share.duckdb").exists():
        return ""
    try:
        with open_published(root) as connection:
            before = connection.execute(_SUMS).fetchall()
            for file in sorted((ROOT / "sql" / "checks").glob("*.sql")):
                sql = file.read_text(encoding="utf-8")
                if "-- severity: fail" in sql and connection.execute(sql).fetchall():
                    return f"readers see what fails the check {file.stem}"
            time.sleep(held_seconds)
            is_same = connection.execute(_SUMS).fetchall() == before
    except duckdb.Error as error:
        return f"readers meet an error: {error}"
    return "" if is_same else "what a reader had opened has changed"


def read_until(ended: Path, root: Path) -> str:
    """Read the published file again and again until a file is there; what was wrong, or nothing."""
    while not ended.exists():
        odd = what_readers_miss(root, _HELD_SECONDS)
        if odd:
            return odd
        time.sleep(_PAUSE_SECONDS)
    return ""


def leftovers(root: Path) -> str:
    """Files that no command at work needs any more; empty where there are none."""
    files = [str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()]
    odd = [name for name in files if not (_KEPT.fullmatch(name) or _OF_KILLED_WORKERS.match(name))]
    return f"left behind: {', '.join(sorted(odd))}" if odd else ""


def ill_ended(ended: Ended, codes: Sequence[int] = _CODES) -> str:
    """How a command ended otherwise than the table of exit codes says; empty where it did so."""
    if ended.code is None:
        return f"it did not end: {ended.err[-500:]}"
    if ended.code not in codes:
        return f"it ended with {ended.code}: {ended.err[-500:]}"
    last = ended.err.strip().splitlines()[-1:]
    if "Traceback" in ended.err or (ended.code == 70 and _FULL not in ended.err):
        return f"it ended with {ended.code}, unexpectedly: {ended.err[-500:]}"
    if ended.code and not last:
        return f"it ended with {ended.code} and said nothing"
    return ""


def what_doctor_finds(ended: Ended) -> str:
    """What ``doctor --format json`` finds that is not as it should be; empty: nothing."""
    if ended.code:
        return f"doctor ended with {ended.code}: {ended.err[-500:]}"
    parts = json.loads(ended.out)["parts"]
    odd = [f"{one['part']}: {one['found']}" for one in parts if one["condition"] != "ok"]
    return f"doctor finds {'; '.join(odd)}" if odd else ""
