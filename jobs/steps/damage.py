"""Words about damaged fragments, for the commands that look for them."""

from collections.abc import Callable, Sequence

import pyarrow as pa

from v6share.schemas.text.plain import storable
from v6share.warehouse.merge.read_fragments import FragmentUnreadable, what_helps


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
    damaged: Sequence[FragmentUnreadable], say: Callable[..., None], limit: int | None = None
) -> None:
    """Say of each fragment what is wrong, and once what helps. limit: name so many, None: all."""
    if not damaged:
        return
    for one in damaged[:limit]:
        say(one.found, input_id=one.source.key.input_id, fragment=one.source.file)
    more = f"{len(damaged) - limit:,} more like these. " if limit and len(damaged) > limit else ""
    say(more + what_helps(damaged))
