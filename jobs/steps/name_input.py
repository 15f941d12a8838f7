"""The inputs that a user means by paths, base names or ids, for the commands that take them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from v6share.render.values import iso_time, shown_hash
from v6share.schemas.errors import UserError
from v6share.warehouse.ledger.named_inputs import NamedInput, inputs_called, names_like
from v6share.workspace import storage

_LISTED: Final = 5


def called(name: str, inputs: Sequence[NamedInput]) -> list[NamedInput]:
    """The inputs that a name means, seen from the current folder."""
    absolute = _absolute(name)
    return inputs_called(name, absolute, inputs, is_file=storage.exists(Path(absolute)))


def several(
    name: str, found: Sequence[NamedInput], undone: str, *, of_a_path: str = "the id"
) -> UserError:
    """The error where a name means more than one input.

    undone: what was not done, in words. of_a_path: what tells inputs apart that one path has had.
    """
    # A file that was rewritten in place leaves two inputs of one path.
    is_path = all(_absolute(name) in one.paths for one in found)
    tells = of_a_path if is_path else "a whole path or the id"
    return UserError(
        f"{name}: {len(found)} inputs have this name, {undone}; give {tells} of the one that you "
        f"mean: {_listed(found)}"
    )


def before_it_was_rewritten(name: str, found: Sequence[NamedInput]) -> list[NamedInput]:
    """Of the inputs that a path has had, those that do not lie there any more."""
    places = {name, _absolute(name)}
    return [one for one in found if places & one.paths and not places & one.here]


def hint(name: str, inputs: Sequence[NamedInput]) -> str:
    """The names that were perhaps meant, as a question; empty where none is near."""
    near = names_like(name, inputs)
    return f"did you mean {' or '.join(near)}? " if near else ""


def _absolute(name: str) -> str:
    return os.path.abspath(name)  # noqa: PTH100 - resolve would follow links


def _listed(inputs: Sequence[NamedInput]) -> str:
    shown = [
        f"{shown_hash(one.input_id)} ({min(one.paths)}, of {iso_time(one.at)})"
        for one in sorted(inputs, key=lambda one: one.at)[:_LISTED]
    ]
    return ", ".join([*shown, "..."] if len(inputs) > _LISTED else shown)
