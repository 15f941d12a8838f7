"""What becomes of a file that is not counted: refused (quarantined), busy, or failed.

A file that is refused is kept aside with its reason; a busy or failed one is tried again.
"""

import time
from typing import Final

from v6share.pipelines.identity import Identity
from v6share.pipelines.work import Work
from v6share.schemas.errors import InputRefused
from v6share.schemas.outcome import FoundInput, Outcome

_SECOND_NS: Final = 1_000_000_000
_MAY_BE_HALF_WRITTEN: Final = ("unreadable", "empty_file")


def refused(work: Work, found: FoundInput, identity: Identity, why: InputRefused) -> Outcome:
    """Decide about a file that cannot be counted: quarantined, or busy where it may be half
    written.
    """
    # Another machine's clock may be ahead by seconds, a wrong one by years.
    age_ns = abs(time.time_ns() - found.mtime_ns)
    young = age_ns < work.settings.run.settle_seconds * _SECOND_NS
    # A half-written file cannot be read; one that can be read will not change its columns.
    has_changed = not identity.is_still_that_of(found)
    if has_changed or (young and why.reason in _MAY_BE_HALF_WRITTEN):
        return busy(found)
    return Outcome(
        found.path,
        found.size,
        found.mtime_ns,
        "quarantined",
        work.refusal_key(identity.input_id),
        reason=why.reason,
        detail=why.detail,
    )


def unexpected(error: BaseException) -> InputRefused:
    """A failure of our own code as a refusal: the input is kept aside, the others go on."""
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    place = "" if where is None else f" at {where.tb_frame.f_code.co_name}:{where.tb_lineno}"
    # The error's own text may quote a row, and rows hold addresses.
    return InputRefused("unexpected", f"{type(error).__name__}{place}; please report it")


def busy(found: FoundInput, why: str = "it is still being written") -> Outcome:
    """It is left for the next run."""
    return Outcome(found.path, found.size, found.mtime_ns, "busy", reason="busy", detail=why)


def failed(found: FoundInput, error: OSError | MemoryError) -> Outcome:
    """Its bytes could not be had, for want of permission, disk or memory. It is tried again: they
    may be good.
    """
    if isinstance(error, FileNotFoundError):
        return busy(found, "it disappeared while the run was under way")
    why = (error.strerror if isinstance(error, OSError) else None) or str(error) or "no memory"
    detail = f"its bytes cannot be read: {why}"
    return Outcome(
        found.path, found.size, found.mtime_ns, "failed", reason="unreadable", detail=detail
    )
