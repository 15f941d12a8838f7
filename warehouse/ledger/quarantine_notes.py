"""One JSON file per refused input: what was found, why, how to try again, and what was decided.

The refusal itself is decided where the input is read: ``pipelines/refusals.py``.

The files follow the ledger and can be made again from the journal. They hold the details, which the
ledger does not have; ``v6share quarantine list`` shows them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from v6share.warehouse.ledger.changes import REFUSED
from v6share.warehouse.ledger.journal import Decision, Quarantine
from v6share.workspace import storage
from v6share.workspace.paths import Workspace


def refusal_file(workspace: Workspace, input_id: str) -> Path:
    """The file of one refused input."""
    return workspace.quarantine / f"{input_id[:16]}.json"


def write_refusals(
    workspace: Workspace,
    refused: Mapping[str, Quarantine | None],
    decided: Mapping[str, Decision],
) -> None:
    """Write the file of each refused input, and remove those of inputs that no longer are.

    decided: what was decided of refused inputs; it is added to their files, as far as they are
    there.
    """
    for input_id, entry in refused.items():
        file = refusal_file(workspace, input_id)
        if entry is None:
            storage.remove(file)
        else:
            _write(file, _describe(entry))
    for input_id, decision in decided.items():
        note = read_refusal(workspace, input_id)
        if note:
            what = {"decision": decision.decision, "reason": decision.reason}
            note["decided"] = {**what, "at": decision.at.isoformat()}
            _write(refusal_file(workspace, input_id), note)


def remove_old_notes(connection: duckdb.DuckDBPyConnection, workspace: Workspace) -> None:
    """Remove the files of inputs that were refused before the day from which these are kept.

    The ledger goes on to know the refusals, so that no run tries these inputs again.
    """
    old = connection.execute(
        "SELECT input_id FROM ledger_files "
        "WHERE list_contains(CAST(? AS VARCHAR[]), status) GROUP BY input_id "
        "HAVING max(committed_at) < "
        "(SELECT CAST(kept_from AS TIMESTAMP) FROM ledger_pruned WHERE part = 'quarantine')",
        [list(REFUSED)],
    ).fetchall()
    for (input_id,) in old:
        storage.remove(refusal_file(workspace, input_id))


def read_refusal(workspace: Workspace, input_id: str) -> dict[str, Any]:
    """What the file of a refused input says; empty where it is gone or holds something else."""
    try:
        note = json.loads(storage.read(refusal_file(workspace, input_id)))
    except (OSError, ValueError, RecursionError):
        return {}
    return note if isinstance(note, dict) and note.get("input_id") == input_id else {}


def _write(file: Path, note: Mapping[str, Any]) -> None:
    storage.write(file, (json.dumps(note, indent=2) + "\n").encode())


def _describe(entry: Quarantine) -> dict[str, str | int]:
    return {
        "path": entry.path,
        "reason": entry.reason,
        "detail": entry.detail,
        "how_to_retry": (
            "Mend or replace the file and run again: changed content is a new input. The same "
            "bytes are tried again when the rules or the catalog change, with another --dialect "
            "(or with none), or after "
            f"`v6share quarantine retry {entry.input_id[:16]}`. Where the file cannot be had, "
            f"`v6share quarantine accept {entry.input_id[:16]}` says that nobody need look at it. "
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
