"""Warnings that were said already: silence lasts, and what every run repeats nobody reads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import duckdb

from v6share.warehouse.checks import NOT_JUDGED, CheckResult
from v6share.warehouse.database.state import read_state, write_state
from v6share.warehouse.database.transaction import transaction

SAID_ONCE: Final = ("silent_exporters", "exporters.silent", "exporters.silent_by_the_clock")


def warnings_to_say(
    connection: duckdb.DuckDBPyConnection, results: Sequence[CheckResult]
) -> list[CheckResult]:
    """The results that warn, without those of SAID_ONCE that say nothing new; notes them as said.

    New is a row whose first value is in no row that was said, or more rows than were; such a row
    comes first. Once a check passes, what it finds later is new again.
    """
    before: dict[str, dict[str, Any]] = json.loads(read_state(connection, "said", "{}"))
    said, to_say = dict(before), []
    for result in results:
        if result.name in SAID_ONCE and result.outcome != NOT_JUDGED:
            said.pop(result.name, None)
        if result.passed or result.blocks:
            continue
        if result.name in SAID_ONCE:
            known = before.get(result.name, {})
            news = _news(result, known)
            said[result.name] = {"found": result.found, "keys": _keys(result, known)}
            to_say += [] if news is None else [news]
        else:
            to_say.append(result)
    if said != before:
        with transaction(connection):
            write_state(connection, "said", json.dumps(said))
    return to_say


def _news(result: CheckResult, known: Mapping[str, Any]) -> CheckResult | None:
    """The result with its new rows first; None where it has none."""
    new = [row for row in result.sample if _key(row) not in known.get("keys", ())]
    if not new and result.found <= known.get("found", 0):
        return None
    return replace(result, sample=(*new, *(row for row in result.sample if row not in new)))


def _keys(result: CheckResult, known: Mapping[str, Any]) -> list[str]:
    """Of the rows that were said. The sample may leave out some that it had before."""
    kept = known.get("keys", []) if result.found > len(result.sample) else []
    return sorted({*kept, *map(_key, result.sample)})


def _key(row: Mapping[str, Any]) -> str:
    return str(next(iter(row.values()), ""))
