"""Refuse to count where a catalog file that the last run used is gone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from v6share.schemas.catalog.dimension_rows import default_targets
from v6share.schemas.catalog.files import CATALOG_FILES
from v6share.schemas.catalog.models import Catalog
from v6share.schemas.dimensions import CATALOG_DIMENSIONS, DIM_TARGETS, DIM_VANTAGES
from v6share.schemas.errors import UserError
from v6share.warehouse.database.arrow import fetch_table
from v6share.warehouse.database.connect import Connection, DamagedFile, open_snapshot
from v6share.warehouse.database.migrate import schema_version
from v6share.warehouse.database.state import read_state, write_state
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

_FILE_OF: Final = {Path(name).stem: name for name in CATALOG_FILES}


def refuse_lost_catalog(connection: Connection, workspace: Workspace) -> None:
    """Raise UserError where the numbers stand on a catalog file that is no longer there.

    Counted without it, every flow would be ``unclassified`` or ``unknown`` and replace what is
    right. A workspace that never had the file may go on without it.
    """
    _refuse(workspace, {**declared_rows(connection), **_declared_besides(connection)})


def remembered(workspace: Workspace) -> dict[str, int]:
    """What ``remember_catalog`` kept of files that are gone now; nothing where nobody can tell."""
    if not storage.exists(workspace.warehouse):
        return {}
    try:
        with open_snapshot(workspace.warehouse) as warehouse:
            is_ours = schema_version(warehouse) > 0
            return _lost(workspace, _declared_besides(warehouse)) if is_ours else {}
    except DamagedFile:
        return {}


def remember_catalog(
    connection: Connection, catalog: Catalog, before: Mapping[str, int] | None = None
) -> None:
    """Keep how much stands in those files that no dimension table is made from.

    before: of files that are gone, and that no flow was counted without yet.
    """
    rows = {
        "prefixes": catalog.prefixes.num_rows,
        "transition": sum(len(prefixes) for _, prefixes in catalog.transition),
    }
    declared = {name: count for name, count in {**rows, **(before or {})}.items() if count}
    if declared != _declared_besides(connection):
        write_state(connection, "declared", json.dumps(declared))


def _declared_besides(connection: Connection) -> dict[str, int]:
    found: dict[str, int] = json.loads(read_state(connection, "declared", "{}"))
    return found


def refuse_lost_catalog_of_snapshot(workspace: Workspace) -> None:
    """The same where the warehouse may be unusable: the published file knows the catalog, too."""
    if not storage.exists(workspace.published):
        return
    try:
        with open_snapshot(workspace.published) as snapshot:
            declared = declared_rows(snapshot)
    except DamagedFile:
        return  # nobody knows what was declared
    _refuse(workspace, declared)


def _lost(workspace: Workspace, declared: Mapping[str, int]) -> dict[str, int]:
    return {
        name: rows
        for name, rows in declared.items()
        if not storage.is_file(workspace.catalog / _FILE_OF[name])
    }


def _refuse(workspace: Workspace, declared: dict[str, int]) -> None:
    """Raise UserError for files that are gone. declared: rows of the last run, by file's stem."""
    lost = _lost(workspace, declared)
    if not lost:
        return
    known = ", ".join(f"{name}: {rows:,}" for name, rows in lost.items())
    files = ", ".join(_FILE_OF[name] for name in lost)
    raise UserError(
        f"{workspace.catalog}: {files} not there, but the last run had it ({known}); without it "
        "flows would be counted again, as unclassified or unknown, and KPIs would lose their rows "
        "or be held against the usual targets. Restore it from a backup. To go on without it, "
        f"`v6share init {workspace.root}` writes one that declares nothing"
    )


def declared_rows(connection: Connection) -> dict[str, int]:
    """What the catalog of the last run declared: rows by the table's name, without empty ones.

    From the warehouse, a published file, or another database that stands in its place. Vantages
    have rows without a catalog, too, so they say nothing. So have targets: of these, the rows that
    are not as they are without a file.
    """
    tables = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
    ).fetchall()
    counts = {
        table.name.removeprefix("dim_"): connection.execute(
            f"SELECT count(*) FROM {table.name}"  # noqa: S608 - a name of the schemas
        ).fetchall()[0][0]
        for table in CATALOG_DIMENSIONS
        if table not in (DIM_VANTAGES, DIM_TARGETS) and (table.name,) in tables
    }
    if (DIM_TARGETS.name,) in tables:
        counts["targets"] = _targets_of_file(connection)
    return {name: rows for name, rows in counts.items() if rows}


def _targets_of_file(connection: Connection) -> int:
    usual = default_targets().to_pylist()
    rows = fetch_table(connection, f"FROM {DIM_TARGETS.name}").to_pylist()
    return sum(row not in usual for row in rows)
