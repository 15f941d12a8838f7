"""Words about damaged fragments and an altered published file, for the commands that look."""

from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa

from v6share.jobs.terminal import messages
from v6share.schemas.text.plain import storable
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.merge.read_fragments import FragmentUnreadable, what_helps
from v6share.warehouse.publish import was_altered
from v6share.workspace.paths import Workspace

_NAMED: Final = 10


def damage_rows(damaged: Sequence[FragmentUnreadable]) -> list[dict[str, str]]:
    """One row a fragment: the input, the file, what is wrong with it."""
    return [
        {
            "path": storable(one.source.path),
            "input_id": one.source.key.input_id,
            "fragment": str(one.source.file),
            "problem": one.problem,
        }
        for one in damaged
    ]


def damage_table(damaged: Sequence[FragmentUnreadable]) -> pa.Table:
    """The same as a table."""
    names = ("path", "input_id", "fragment", "problem")
    schema = pa.schema([pa.field(name, pa.string()) for name in names])
    return pa.Table.from_pylist(damage_rows(damaged), schema=schema)


def say_damaged(
    damaged: Sequence[FragmentUnreadable], say: Callable[..., None], *, opens: bool = True
) -> None:
    """Say of the first fragments what is wrong, of the others how many, and once what helps.

    opens: whether the warehouse can be opened without them.
    """
    if not damaged:
        return
    for one in damaged[:_NAMED]:
        say(one.found, input_id=one.source.key.input_id, fragment=one.source.file)
    others = len(damaged) - _NAMED
    more = f"{others:,} more like these. " if others > 0 else ""
    say(more + what_helps(damaged, opens=opens))


def say_if_altered(connection: Connection, workspace: Workspace) -> None:
    """Warn where the published file is not the one that this warehouse published last."""
    if was_altered(connection, workspace):
        messages.warn(
            f"{workspace.published}: not the file that was published here (copied, restored, "
            "changed or damaged); `v6share run` publishes it anew"
        )
