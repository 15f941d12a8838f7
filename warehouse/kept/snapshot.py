"""The one row that says what a published file is."""

import secrets
from datetime import UTC, datetime
from typing import Final

import duckdb

from v6share import __version__
from v6share.schemas.fragment import RULES_VERSION
from v6share.warehouse.database.migrate import schema_version
from v6share.warehouse.database.transaction import transaction
from v6share.warehouse.database.unpublished import note_whole

GATE_NOT_RUN: Final = "not run"


def write_snapshot(
    connection: duckdb.DuckDBPyConnection,
    created_at: datetime,
    *,
    failed: int,
    warned: int,
    gate: str = "",
) -> None:
    """Put the row of the snapshot that is published next into ``results.snapshot``.

    created_at: with its zone. failed, warned: how many checks found something. gate: what the gate
    says of it, in words.
    """
    moment = created_at.astimezone(UTC).replace(tzinfo=None)
    snapshot_id = f"{moment:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    with transaction(connection):
        note_whole(connection, ["results.snapshot"])
        connection.execute("DELETE FROM results.snapshot")
        connection.execute(
            "INSERT INTO results.snapshot SELECT $id, $created_at, (SELECT as_of FROM main.as_of), "
            "$code, $rules, coalesce((SELECT max_by(catalog_version, (started_at, run_id)) "
            "FROM main.ledger_runs), ''), $schema, $failed, $warned, $gate",
            {
                "id": snapshot_id,
                "created_at": moment,
                "code": __version__,
                "rules": RULES_VERSION,
                "schema": schema_version(connection),
                "failed": failed,
                "warned": warned,
                "gate": gate,
            },
        )


def went_unjudged(snapshot: duckdb.DuckDBPyConnection) -> bool:
    """Whether a file was published without the gate; False where an earlier version wrote it."""
    try:
        found = snapshot.execute("SELECT gate FROM results.snapshot").fetchall()
    except (duckdb.CatalogException, duckdb.BinderException):
        return False
    return found == [(GATE_NOT_RUN,)]
