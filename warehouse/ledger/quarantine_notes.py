"""One JSON file per refused input, for people: what was found, why, and how to try again.

The refusal itself is decided where the input is read: ``pipelines/refusals.py``.

The files follow the ledger and can be made again from the journal.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import duckdb

from v6share.warehouse.ledger.journal import Quarantine
from v6share.workspace import storage
from v6share.workspace.paths import Workspace


def refusal_file(workspace: Workspace, input_id: str) -> Path:
    """The file of one refused input."""
    return workspace.quarantine / f"{input_id[:16]}.json"


def write_refusals(workspace: Workspace, refused: Mapping[str, Quarantine | None]) -> None:
    """Write the file of each refused input, and remove those of inputs that no longer are."""
    for input_id, entry in refused.items():
        file = refusal_file(workspace, input_id)
        if entry is None:
            storage.remove(file)
        else:
            _write(file, entry)


def remove_old_notes(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> None:
    """Remove the files of inputs that were refused before the day from which these are kept.

    The ledger goes on to know the refusals, so that no run tries these inputs again.
    """
    old = connection.execute(
        "SELECT input_id FROM ledger_files WHERE status = 'quarantined' GROUP BY input_id "
        "HAVING max(committed_at) < "
        "(SELECT CAST(kept_from AS TIMESTAMP) FROM ledger_pruned WHERE part = 'quarantine')"
    ).fetchall()
    for (input_id,) in old:
        storage.remove(refusal_file(workspace, input_id))


def _write(file: Path, entry: Quarantine) -> None:
    text = json.dumps(_describe(entry), indent=2) + "\n"
    storage.write(file, text.encode())


def _describe(entry: Quarantine) -> dict[str, str | int]:
    return {
        "path": entry.path,
        "reason": entry.reason,
        "detail": entry.detail,
        "how_to_retry": (
            "Mend or replace the file and run again: changed content is a new input. The same "
            "bytes are tried again when the rules or the catalog change, with another --dialect "
            "(or with none), or with "
            f"`v6share forget {entry.input_id}` and then `v6share run --include-forgotten PATH`. "
            "Where an older version of this input is committed, that one goes on counting."
        ),
        "input_id": entry.input_id,
        "size": entry.size,
        "dialect": entry.dialect,
        "rules_version": entry.rules_version,
        "catalog_version": entry.catalog_version,
        "run_id": entry.run_id,
        "at": entry.at.isoformat(),
    }
