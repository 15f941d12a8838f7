"""The first step: from the arguments of a command to the inputs that they mean."""

from collections.abc import Sequence

from v6share.jobs.terminal import messages
from v6share.jobs.terminal.exit_codes import ExitCode, JobStopped
from v6share.pipelines.find import Found, find_inputs, is_missing
from v6share.schemas.errors import UserError
from v6share.workspace.paths import Workspace


def find(paths: Sequence[str], workspace: Workspace) -> Found:
    """The inputs. Raises JobStopped where there is none: INPUT_FAILED where some had to be left
    out, else NO_INPUT.

    Raises UserError where others are there, but not one that was named: nobody would look at a
    warning of a job that a scheduler runs.
    """
    excluded = (workspace.state, workspace.published.parent)
    found = find_inputs(paths, excluded, messages.warn)
    missing = [path for path in found.empty if is_missing(path)]
    if not found.inputs:
        gone = f"; there is no {' and no '.join(missing)}" if missing else ""
        if found.closed:
            out = ", ".join(found.closed)
            raise JobStopped(ExitCode.INPUT_FAILED, f"no input: {out} left out, see above{gone}")
        raise JobStopped(
            ExitCode.NO_INPUT,
            f"no input matched {', '.join(found.empty)}{gone}. Of a directory only *.parquet and "
            "*.parq are taken, a file that you name is always tried",
        )
    if missing:
        raise UserError(
            f"{', '.join(missing)}: no such file or directory; nothing was counted. Name what is "
            "there, or give a quoted glob where it may be missing"
        )
    for path in found.empty:
        messages.warn(f"{path}: no flow file there, the others are counted", path=path)
    return found
