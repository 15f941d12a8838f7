"""The published file, for the commands that read it, and a word about what it lacks."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime

from v6share.jobs.terminal import messages
from v6share.render.values import iso_time
from v6share.schemas.errors import UserError
from v6share.warehouse.database.connect import Connection, open_snapshot
from v6share.warehouse.remedies import refuse_if_all_is_held_back
from v6share.warehouse.status import unpublished_run
from v6share.workspace import storage
from v6share.workspace.held_back import why_held_back
from v6share.workspace.lock import present_holder
from v6share.workspace.paths import Workspace


@contextmanager
def open_published(workspace: Workspace) -> Iterator[Connection]:
    """A read-only connection to the published file.

    Raises UserError where there is none, with why; DamagedFile and UnopenedFile as
    ``open_snapshot``.
    """
    published = workspace.published
    if not storage.exists(published):
        if (holder := present_holder(workspace)) is not None:
            raise UserError(f"{published}: nothing is published yet; {holder.advice}")
        refuse_if_all_is_held_back(workspace)
        if has_journal(workspace):
            raise UserError(
                f"{published}: gone, or never made, though something is counted here; the next "
                "`v6share run` publishes it, and so does `v6share doctor --repair`"
            )
    with open_snapshot(published) as connection:
        yield connection


def has_journal(workspace: Workspace) -> bool:
    """Whether it is there; who may not look into the state does not know."""
    with suppress(PermissionError):
        return storage.exists(workspace.journal)
    return False


def say_what_is_missing(workspace: Workspace, published: Mapping[str, datetime]) -> None:
    """A word where a run is committed that the published numbers do not hold.

    published: the runs that they hold (``published_runs``).
    """
    why = why_held_back(workspace)
    try:
        run = unpublished_run(workspace, published)
    except OSError:
        # Who may read the published file need not be one who may read the state.
        if why:
            messages.warn(f"newer numbers are held back, these are older: {why}", why=why)
        return
    if run is not None:
        told = f" ({why})" if why else ""
        messages.warn(
            f"run {run.run_id}, committed at {iso_time(run.finished_at)}, is not in these "
            f"numbers: it is not published{told}. `v6share status` says what helps",
            run_id=run.run_id,
            why=why,
        )


def say_unjudged() -> None:
    """A word beside published numbers that the gate did not judge."""
    messages.say(
        "the gate did not judge the published numbers (`--no-gate`, or `gate = false` in "
        "[quality]); `v6share check --gate` does"
    )
