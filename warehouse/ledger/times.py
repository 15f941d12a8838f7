"""From when to when the flows of inputs lasted, as far as the ledger says it for certain."""

# ruff: noqa: S608 - the names in the SQL are constants of this module

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import duckdb

from v6share.schemas.fragment import FragmentKey
from v6share.warehouse.database.connect import DamagedFile, open_snapshot
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

# Rows with a time, which other settings or another catalog may count. Not those of "egress_copy":
# they have the times of the rows that they are copies of.
_MAY_COUNT: Final = "'no_sampling_interval', 'duration_too_long', 'counter_overflow'"
_TIMES: Final = (
    "SELECT input_id, dialect, rules_version, catalog_version, "
    "epoch_ms(first_start), epoch_ms(last_end), NOT EXISTS (SELECT 1 FROM rejects r "
    f"WHERE r.input_id = f.input_id AND r.reason IN ({_MAY_COUNT})) "
    "FROM ledger_files f WHERE status = 'committed' AND first_start IS NOT NULL"
)


@dataclass(frozen=True)
class CountedTimes:
    """The times of an input's counted rows, Unix milliseconds, both inclusive.

    are_all: whether no rejected row, which may yet be counted, can have another time.
    """

    first_ms: int
    last_ms: int
    are_all: bool


def counted_times(connection: duckdb.DuckDBPyConnection) -> dict[FragmentKey, CountedTimes]:
    """The times of every input that counts and has a counted row, by the version that counts."""
    rows = connection.execute(_TIMES).fetchall()
    return {FragmentKey(*row[:4]): CountedTimes(*row[4:]) for row in rows}


def begins_before(connection: duckdb.DuckDBPyConnection, ids: Sequence[str], day: date) -> bool:
    """Whether one of some inputs has a counted row before a UTC day, counting now or not."""
    ((count,),) = connection.execute(
        "SELECT count(*) FROM ledger_files "
        "WHERE first_start < ? AND input_id IN (SELECT unnest(CAST(? AS VARCHAR[])))",
        [day, list(ids)],
    ).fetchall()
    return bool(count)


def published_times(workspace: Workspace) -> dict[FragmentKey, CountedTimes]:
    """The same from the published file, which can be read without a turn of the workspace.

    It may be older than the ledger, and yet is never wrong: the times of one version of an input
    do not change. Nothing where there is no such file, or it is damaged.
    """
    if not storage.exists(workspace.published):
        return {}
    try:
        with open_snapshot(workspace.published) as snapshot:
            return counted_times(snapshot)
    except DamagedFile:
        return {}
