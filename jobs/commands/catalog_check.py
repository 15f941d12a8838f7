"""``v6share catalog check``: what is wrong in settings and catalog, or looks so, without flows."""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from v6share.jobs.steps.count import say_catalog_advice
from v6share.jobs.steps.head_start import compile_now, say_if_cold
from v6share.jobs.terminal import messages, stdout
from v6share.jobs.terminal.exit_codes import ExitCode
from v6share.jobs.terminal.invocation import Invocation
from v6share.render.text import SeveralForm
from v6share.schemas.errors import CatalogError
from v6share.workspace.configured import configure_for_reading

_COLUMNS: Final = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("key", pa.string()),
        ("problem", pa.string()),
    ]
)


def main(invocation: Invocation, *, form: SeveralForm) -> ExitCode:
    """List all mistakes, which stop every run, and all doubts, which do not."""
    mistakes: Sequence[CatalogError] = ()
    doubts: Sequence[CatalogError] = ()
    try:
        configured = configure_for_reading(invocation.root)
        doubts = configured.doubts
        say_catalog_advice(configured)
        say_if_cold()
        compile_now(configured)
    except CatalogError as error:
        mistakes = error.each
    stdout.write_tables({"mistakes": _as_table(mistakes), "doubts": _as_table(doubts)}, form)
    if mistakes:
        messages.fail(
            f"{_count(mistakes, 'mistake')}: nothing is counted until they are mended, and doubts "
            "are looked for then"
        )
        return ExitCode.USAGE
    messages.say(f"no mistakes, {_count(doubts, 'doubt')}")
    return ExitCode.DONE


def _as_table(found: Sequence[CatalogError]) -> pa.Table:
    return pa.Table.from_pylist(
        [{name: getattr(one, name) for name in _COLUMNS.names} for one in found], _COLUMNS
    )


def _count(found: Sequence[CatalogError], word: str) -> str:
    return f"{len(found) or 'no'} {word}{'' if len(found) == 1 else 's'}"
