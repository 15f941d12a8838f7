"""Refuse to count with another client key than the workspace counted with until now.

Under another key every client has another hash. Who counted on with it would have each client of
the days before twice in a union of days, and nothing would show it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from v6share.schemas.errors import UserError
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.ledger import journal
from v6share.warehouse.ledger.changes import plan_changes
from v6share.warehouse.ledger.journal import ClientKey
from v6share.warehouse.ledger.rows import key_ids
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

# Of a key that was lost before any version noted its id.
LOST_KEY: Final = "unknown"
OTHER_KEY_MEANS: Final = (
    "Under another key the same client has another hash: clients of the days before would count "
    "twice in every union of days"
)
WAYS_OUT: Final = (
    "Put the right key back from a backup. Where there is none, `v6share key rotate` makes a new "
    "one: what was counted stays, and distinct clients of 30 days are not known until all these "
    "days are counted with the new key"
)


def keys_of_journal(workspace: Workspace) -> list[str]:
    """The ids of the client keys, as ``key_ids`` gives them, where no warehouse is open.

    Raises UserError where the journal is damaged.
    """
    if not storage.exists(workspace.journal):
        return []
    entries = (entry for entry, _ in journal.read(workspace.journal))
    return plan_changes((), (one for one in entries if isinstance(one, ClientKey))).keys


def refuse_other_key(workspace: Workspace, keys: Sequence[str], found: str) -> None:
    """Raise UserError where the key in place is not the one that counts.

    keys: the ids of all client keys, the one that counts last. found: the id of the one in place.
    """
    if keys and keys[-1] != found:
        raise UserError(
            f"{workspace.client_key}: found the key {found}, but this workspace counts with the "
            f"key {keys[-1]}. {OTHER_KEY_MEANS}. Nothing was changed. {WAYS_OUT}"
        )


def first_key(connection: Connection, found: str, at: datetime) -> tuple[ClientKey, ...]:
    """The journal entry of the key that counts, where none was noted yet; else nothing."""
    return () if key_ids(connection) else (ClientKey(at, found),)


def rotation(keys: Iterable[str], found: str, new: str, at: datetime) -> list[ClientKey]:
    """The journal entries of a new key. keys: those noted until now; found: the one in place."""
    before = [] if list(keys) else [ClientKey(at, found)]
    return [*before, ClientKey(at, new)]
