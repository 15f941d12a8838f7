"""The rows of the ledger: read for the inputs that journal entries name, and written anew."""

# ruff: noqa: S608 - all SQL here is made from names in schemas/; values are bound

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import duckdb
import pyarrow as pa

from v6share.schemas.columns import Table
from v6share.schemas.fragment import FragmentFile, FragmentKey
from v6share.schemas.ledger import (
    INPUT_LEDGERS,
    LEDGER_FILES,
    LEDGER_FINAL_DAYS,
    LEDGER_KEYS,
    LEDGER_PRUNED,
    LEDGER_RUNS,
)
from v6share.schemas.text.plain import storable
from v6share.warehouse.database.arrow import delete_matching, insert_rows
from v6share.warehouse.database.state import raise_revision
from v6share.warehouse.database.touched import note_touched, note_touched_days, note_touched_ids
from v6share.warehouse.ledger.changes import (
    NO_ROWS,
    Changes,
    FileRow,
)
from v6share.warehouse.ledger.journal import Run, SeenFile

# What the fragments of ledger rows ``f`` are known by, as ``w``; nulls where nobody said it.
WITH_FRAGMENTS: Final = (
    "LEFT JOIN private.fragments w USING (input_id, dialect, rules_version, catalog_version)"
)
# The live version of each input that counts by its fragment, with its path and what that is known
# by: the columns that a wanted fragment is made from. What is sealed counts by the base.
LIVE_FRAGMENTS: Final = (
    "SELECT input_id, dialect, rules_version, catalog_version, f.path, w.sha256, w.size, "
    f"f.client_key FROM ledger_files f {WITH_FRAGMENTS} "
    "WHERE status = 'committed' AND sealed_at IS NULL"
)


def fragment_file(sha256: str | None, size: int | None) -> FragmentFile | None:
    """What a fragment is known by, from the two columns."""
    return None if sha256 is None or size is None else FragmentFile(sha256, size)


# Ledger


def file_rows(connection: duckdb.DuckDBPyConnection, named: set[str]) -> list[FileRow]:
    """Every row of these inputs, by whatever versions. named: input ids."""
    rows = connection.execute(
        "SELECT input_id, dialect, rules_version, catalog_version, f.path, f.size, run_id, status, "
        "reason, committed_at, w.sha256, w.size, client_key, sealed_at, rows_in, rows_counted, "
        f"rows_rejected, first_start, last_end FROM ledger_files f {WITH_FRAGMENTS} "
        "WHERE input_id IN (SELECT unnest(CAST(? AS VARCHAR[])))",
        [sorted(named)],
    ).fetchall()
    return [
        replace(
            _file_row(*row[:10]),
            fragment=fragment_file(*row[10:12]),
            client_key=row[12],
            sealed_at=row[13],
            figures=tuple(row[14:]),
        )
        for row in rows
    ]


def _file_row(
    input_id: str, dialect: str, rules_version: int, catalog_version: str, *fields: Any
) -> FileRow:
    return FileRow(FragmentKey(input_id, dialect, rules_version, catalog_version), *fields)


def write_ledger(connection: duckdb.DuckDBPyConnection, changes: Changes) -> None:
    """Write what journal entries changed; part of the transaction of a commit."""
    _replace(connection, LEDGER_FILES, "input_id", _file_records(changes))
    _write_fragments(connection, changes)
    _replace(connection, LEDGER_RUNS, "run_id", [_run_record(run) for run in changes.runs.values()])
    _write_seen(connection, list(changes.seen.values()))
    _write_final_days(connection, changes)
    _write_keys(connection, changes)
    if changes.changes_tables:
        raise_revision(connection)
        note_touched_ids(connection, [table.name for table in INPUT_LEDGERS], changes.rows)
    # A run that changed nothing else shows with the next publish.
    note_touched_ids(connection, [LEDGER_RUNS.name], changes.runs)


def _file_records(changes: Changes) -> list[dict[str, Any]]:
    return [_file_record(row) for rows in changes.rows.values() for row in rows.values()]


def _file_record(row: FileRow) -> dict[str, Any]:
    rows_in, counted, rejected, first, last = row.figures or NO_ROWS
    return {
        **vars(row.key),
        "path": storable(row.path),
        "size": row.size,
        "run_id": row.run_id,
        "status": row.status,
        "reason": row.reason,
        "rows_in": rows_in,
        "rows_counted": counted,
        "rows_rejected": rejected,
        "first_start": first,
        "last_end": last,
        "committed_at": row.committed_at,
        "client_key": row.client_key,
        "sealed_at": row.sealed_at,
    }


def _run_record(run: Run) -> dict[str, Any]:
    return run.row | {"command": storable(run.command)}


def _replace(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    key: str,
    records: Sequence[Mapping[str, Any]],
) -> None:
    """Put these rows in the place of all rows with the same key."""
    if not records:
        return
    keys = sorted({record[key] for record in records})
    connection.execute(
        f"DELETE FROM {table.name} WHERE {key} IN (SELECT unnest(CAST(? AS VARCHAR[])))",
        [keys],
    )
    insert_rows(
        connection, table.name, pa.Table.from_pylist(list(records), schema=table.arrow_schema)
    )


def _write_fragments(connection: duckdb.DuckDBPyConnection, changes: Changes) -> None:
    """Keep what the fragments are known by, of inputs that are not sealed."""
    if changes.sealed:
        sealed = pa.table({"input_id": changes.sealed})
        delete_matching(connection, "private.fragments", "input_id", sealed)
    known = [
        {**vars(row.key), **vars(row.fragment)}
        for rows in changes.rows.values()
        for row in rows.values()
        if row.fragment is not None and row.sealed_at is None
    ]
    if known:
        rows = pa.Table.from_pylist(known)
        delete_matching(connection, "private.fragments", "input_id", rows.select(["input_id"]))
        insert_rows(connection, "private.fragments", rows)


def _write_seen(connection: duckdb.DuckDBPyConnection, files: Sequence[SeenFile]) -> None:
    if not files:
        return
    rows = pa.table(
        {
            "path": pa.array([storable(file.path) for file in files], pa.string()),
            "size": pa.array([file.size for file in files], pa.int64()),
            "mtime_ns": pa.array([file.mtime_ns for file in files], pa.int64()),
            "input_id": pa.array([file.input_id for file in files], pa.string()),
        }
    )
    delete_matching(connection, "private.seen", "path", rows.select(["path"]))
    insert_rows(connection, "private.seen", rows)


def _write_final_days(connection: duckdb.DuckDBPyConnection, changes: Changes) -> None:
    """Write what was published of final days. A row that is there already stays as it is."""
    if not changes.final_days:
        return
    incoming = pa.Table.from_pylist(
        [{"published_at": at, **vars(one)} for at, one in changes.final_days.values()],
        schema=LEDGER_FINAL_DAYS.arrow_schema,
    )
    rows = connection.execute(
        "SELECT day, revision FROM ledger_final_days "
        "WHERE day IN (SELECT unnest(CAST(? AS DATE[])))",
        [[day for day, _ in changes.final_days]],
    ).fetchall()
    known = set(rows)
    is_new = [key not in known for key in changes.final_days]
    insert_rows(connection, LEDGER_FINAL_DAYS.name, incoming.filter(pa.array(is_new)))
    days = pa.array(sorted({day for day, _ in changes.final_days}), pa.date32())
    note_touched_days(connection, LEDGER_FINAL_DAYS.name, days)
    raise_revision(connection)


def key_ids(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """The ids of the client keys, the first one first; empty where none was noted yet."""
    found = connection.execute("SELECT key_id FROM ledger_keys ORDER BY client_key").fetchall()
    return [key_id for (key_id,) in found]


def _write_keys(connection: duckdb.DuckDBPyConnection, changes: Changes) -> None:
    if changes.new_keys:
        records = [
            {"client_key": number, "key_id": changes.keys[number], "since": since}
            for number, since in changes.new_keys.items()
        ]
        rows = pa.Table.from_pylist(records, schema=LEDGER_KEYS.arrow_schema)
        insert_rows(connection, LEDGER_KEYS.name, rows)
        note_touched(connection, [LEDGER_KEYS.name])


def write_pruned(connection: duckdb.DuckDBPyConnection, changes: Changes) -> None:
    """Write from which day on parts are kept; part of a transaction."""
    if not changes.pruned:
        return
    records = [
        {"part": part, "kept_from": one.kept_from[part], "pruned_at": one.at, "run_id": one.run_id}
        for part, one in changes.pruned.items()
    ]
    _replace(connection, LEDGER_PRUNED, "part", records)
    note_touched(connection, [LEDGER_PRUNED.name])
