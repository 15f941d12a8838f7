"""The age of the newest record, as data and in words, for the commands that show it."""

from datetime import timedelta
from typing import Final

from v6share.jobs.terminal import messages
from v6share.render.values import Record, iso_time
from v6share.schemas.errors import UserError
from v6share.schemas.text.durations import duration_for_people
from v6share.warehouse.age import DataAge
from v6share.workspace.paths import Workspace
from v6share.workspace.settings_file import read_settings

# Where nobody has said what is too old. Files of whole days are the largest that are usual.
_STALE_AFTER: Final = timedelta(days=1)
NO_RECORD: Final = "there is no record of an exporter that feeds the KPIs"
_HELPS: Final = "`v6share status` shows the last runs, and what each exporter sent last"


def age_record(age: DataAge) -> Record:
    """The age as data: for people, and in seconds."""
    if age.newest is None or age.age is None:
        return {"newest_record": None, "age": None, "age_seconds": None}
    seconds = int(age.age.total_seconds())
    told = duration_for_people(age.age)
    return {"newest_record": age.newest, "age": told, "age_seconds": seconds}


def age_in_words(age: DataAge) -> str:
    """When the newest record ended, as a sentence without its full stop."""
    if age.newest is None or age.age is None:
        return NO_RECORD
    moment = iso_time(age.newest.replace(microsecond=0))
    return f"the newest record ended at {moment}, {duration_for_people(age.age)} ago"


def say_if_stale(age: DataAge, workspace: Workspace) -> None:
    """Warn whoever reads numbers that no longer grow, in one line."""
    limit = _stale_after(workspace)
    if age.newest is not None and age.is_over(limit):
        messages.warn(
            f"the data are stale: {age_in_words(age)}. {_HELPS} "
            f"(said from {duration_for_people(limit)} on; [check] max_age sets it)",
            **age_record(age),
        )


def fail_too_old(age: DataAge, limit: timedelta) -> None:
    """Say that the data are older than was asked for."""
    messages.fail(
        f"the data are too old: {age_in_words(age)}, expected at most "
        f"{duration_for_people(limit)}. No flow file has come since, or none was counted: {_HELPS}",
        **age_record(age),
        max_age_seconds=int(limit.total_seconds()),
    )


def _stale_after(workspace: Workspace) -> timedelta:
    """The setting ``check.max_age``. Who reads numbers is not stopped by a mistake in settings."""
    try:
        return read_settings(workspace).check.max_age or _STALE_AFTER
    except (UserError, OSError) as error:
        messages.detail(str(error))
        return _STALE_AFTER
