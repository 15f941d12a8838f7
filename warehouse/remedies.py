"""Why numbers are not published, as it is noted, and what to do about it.

What helps depends on what failed. A check of the tables is mended by making these anew; an
expectation of the gate would find the same again, for it is the traffic that is odd, or the
expectation; a gate that could not judge has found nothing.
"""

from collections.abc import Collection
from typing import Final

from v6share.schemas.errors import UserError
from v6share.workspace import storage
from v6share.workspace.held_back import why_held_back
from v6share.workspace.paths import Workspace

# How the reasons begin that are noted where something was to be published and was not.
FAILED_CHECKS: Final = "failed checks"
DAMAGED: Final = "the warehouse is damaged"
COULD_NOT_JUDGE: Final = f"{FAILED_CHECKS}: the gate could not judge"


def what_mends(suites: Collection[str]) -> str:
    """What to do about checks that failed.

    suites: those of the expectations among them; "" stands for checks of the tables, which have no
    suite.
    """
    advice = []
    if "" in suites:
        advice.append("`v6share rebuild` makes the tables anew from the journal and the fragments")
    files = ", ".join(f"quality/{name}.json" for name in sorted(suites) if name)
    if files:
        advice.append(
            "where an input is wrong, `v6share forget INPUT` withdraws it; where what is expected "
            f"does not fit, edit {files} (`v6share init` writes it); `--no-gate` publishes without"
        )
    return "; ".join(advice)


def what_publishes(why: str) -> str:
    """What to do so that the published file misses nothing any more. why: as it was noted."""
    if why.startswith(DAMAGED):
        return "`v6share rebuild` makes the warehouse again and publishes"
    if why.startswith(COULD_NOT_JUDGE):
        return (
            "Run the same again; `v6share check` shows whether it can judge, and `--no-gate` "
            "publishes without"
        )
    if why.startswith(FAILED_CHECKS):
        names = why.removeprefix(f"{FAILED_CHECKS}: ").split(", ")
        advice = what_mends({name.rpartition(".")[0] for name in names})
        return (
            f"`v6share check` shows what fails; {advice}. Once nothing fails, the next "
            "`v6share run` publishes"
        )
    return "The next `v6share run` publishes, where no check fails"


def refuse_if_all_is_held_back(workspace: Workspace) -> None:
    """Raise UserError where nothing is published, and it is noted beside that place why."""
    why = why_held_back(workspace)
    if why and not storage.exists(workspace.published):
        raise UserError(
            f"{workspace.published}: nothing is published ({why}). {what_publishes(why)}"
        )
