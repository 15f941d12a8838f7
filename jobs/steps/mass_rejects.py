"""Words about inputs of which much was rejected for one reason, each with an example."""

from collections.abc import Mapping
from typing import Any

from v6share.jobs.steps.run_context import RunContext
from v6share.render.values import bytes_for_people, share_for_people
from v6share.schemas.ledger import REJECT_MEANINGS
from v6share.warehouse.status import MassReject


def described(run: RunContext, lost: MassReject) -> tuple[str, Mapping[str, Any]]:
    """One of them as a sentence, and the fields beside it."""
    share = share_for_people(lost.share)
    of_bytes = f"{bytes_for_people(lost.bytes)} of {bytes_for_people(lost.of_bytes)} ({share}), in "
    rows = f"{lost.rows:,} of {lost.of_rows:,} rows"
    much = f"{rows} ({share})" if lost.is_of_rows else f"{of_bytes}{rows},"
    message = (
        f"{lost.path}: {much} were rejected as {lost.reason} ({REJECT_MEANINGS[lost.reason]})"
        f"{_example(run, lost)}"
    )
    return message, {"path": lost.path, "reason": lost.reason, "rows": lost.rows}


def _example(run: RunContext, lost: MassReject) -> str:
    from v6share.pipelines.reject_example import first_rejected  # here: loads the kernels

    found = first_rejected(lost.path, lost.dialect, lost.reason, run.ahead.plan(run.configured))
    if found is None:
        return ""
    why = found.what_helps
    values = f" with {found.in_words}" if found.values else ""
    helps = f"; {why}" if why else f"; `v6share explain FILE --row {found.row}` shows all of it"
    return f", such as row {found.row}{values}{helps}"
