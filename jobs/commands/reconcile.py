"""``v6share reconcile``: raw files, counted by plain SQL, beside ledger and tables."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final, Literal

import pyarrow as pa

from v6share.jobs.steps.find import find
from v6share.jobs.steps.published_file import open_published, say_what_is_missing
from v6share.jobs.terminal import messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation
from v6share.pipelines.flow_file import open_flow_file
from v6share.pipelines.identity import Identities
from v6share.render.text import Form
from v6share.schemas.errors import InputRefused, UserError
from v6share.schemas.outcome import FoundInput
from v6share.schemas.text.plain import storable
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.ledger.changes import REFUSED
from v6share.warehouse.reconcile import (
    Difference,
    NotCounted,
    count_raw,
    differences,
    differences_of_tables,
    find_in_ledger,
)
from v6share.warehouse.status import published_runs
from v6share.workspace.find import find_workspace

# What becomes of an input. unread: nothing can be said of it, for its bytes cannot be had or SQL
# cannot count them.
_Fate = Literal["same", "differs", "refused", "forgotten", "unknown", "unread"]
_FATE_OF_STATUS: Final[dict[str, _Fate]] = {
    **dict.fromkeys(REFUSED, "refused"),
    "forgotten": "forgotten",
}
_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("what", pa.string()),
        ("family", pa.string()),
        ("in_file", pa.decimal128(38, 0)),
        ("in_ledger", pa.decimal128(38, 0)),
        ("in_tables", pa.decimal128(38, 0)),
    ]
)


@dataclass(frozen=True)
class _Found:
    """What was found of one input. why: where it was not compared."""

    fate: _Fate
    differences: Sequence[Difference] = ()
    why: str = ""


def main(invocation: Invocation, paths: tuple[str, ...], *, form: Form) -> ExitCode:
    """Count the files again, another way, and print what the published file says otherwise."""
    workspace = find_workspace(invocation.root)
    found = find(paths, workspace)
    rows: list[dict[str, object]] = []
    fates: Counter[_Fate] = Counter()
    with open_published(workspace) as connection:
        runs = published_runs(connection)
        for one in found.inputs:
            compared = _compare(connection, one)
            fates[compared.fate] += 1
            rows += _as_rows(storable(one.path), compared)
        of_tables = list(differences_of_tables(connection))
    rows += _as_rows("tables", _Found("differs", of_tables))
    stdout.write_table(pa.Table.from_pylist(rows, _SCHEMA), form, title="Differences", limit=0)
    _say(fates, are_tables_right=not of_tables)
    say_what_is_missing(workspace, runs)
    if of_tables or any(fates[one] for one in ("differs", "refused", "forgotten", "unknown")):
        return ExitCode.GATE
    return ExitCode.INPUT_FAILED if fates["unread"] or found.closed else ExitCode.DONE


def _say(fates: Counter[_Fate], *, are_tables_right: bool) -> None:
    messages.say(
        f"{fates['same']:,} of {fates.total():,} inputs are in the published ledger as plain SQL "
        f"counts them; {fates['differs']:,} differ, {fates['refused']:,} were refused, "
        f"{fates['forgotten']:,} are forgotten, {fates['unknown']:,} are unknown to it, "
        f"{fates['unread']:,} could not be counted again. The tables hold "
        f"{'what the ledger counted' if are_tables_right else 'something else than the ledger'}",
        same=fates["same"],
        differing=fates["differs"],
        refused=fates["refused"],
        forgotten=fates["forgotten"],
        unknown=fates["unknown"],
        unread=fates["unread"],
        tables_differ=not are_tables_right,
    )


def _compare(connection: Connection, found: FoundInput) -> _Found:
    """One input; whatever is wrong with it is said of it alone."""
    try:
        entry = find_in_ledger(connection, Identities().of(found).input_id)
        if entry is None:
            return _Found("unknown", why="not in the ledger")
        if entry.counted is None:
            told = f"{entry.status}: {entry.reason}" if entry.reason else entry.status
            return _Found(_FATE_OF_STATUS.get(entry.status, "unknown"), why=told)
        # By the dialect that it was counted with: one that was named need not be the one that fits.
        file = open_flow_file(found.path, entry.dialect)
        odd = list(differences(count_raw(found.path, file.definition), entry.counted))
    except OSError as error:
        return _Found("unread", why=f"cannot be read: {error.strerror or type(error).__name__}")
    except (InputRefused, NotCounted, UserError) as error:
        return _Found("unread", why=f"cannot be counted: {error}")
    return _Found("differs" if odd else "same", odd)


def _as_rows(path: str, found: _Found) -> Iterator[dict[str, object]]:
    if found.why:
        yield {"path": path, "what": found.why, "family": ""}
    for one in found.differences:
        yield {"path": path, **asdict(one)}
