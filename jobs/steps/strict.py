"""What ``--strict`` minds: inputs that are quarantined and that nobody has acknowledged."""

from collections.abc import Sequence
from typing import Final

from v6share.jobs.terminal import messages
from v6share.warehouse.ledger.quarantined import RefusedInput

_NAMED: Final = 3


def fail_where_unacknowledged(refused: Sequence[RefusedInput]) -> bool:
    """Say which inputs nobody has acknowledged; whether there is one. refused: all that are."""
    left = [one for one in refused if not one.is_acknowledged]
    if not left:
        return False
    named = [f"{one.path} ({_why(one)})" for one in left[:_NAMED]]
    named += [f"{len(left) - _NAMED:,} more"] if len(left) > _NAMED else []
    what = "1 input is" if len(left) == 1 else f"{len(left):,} inputs are"
    messages.fail(
        f"{what} quarantined and not acknowledged: {', '.join(named)}. "
        "`v6share quarantine list` says why; mend or replace the file and run again, or "
        "`v6share quarantine accept` it, also where it is there no more",
        quarantined=len(left),
    )
    return True


def _why(one: RefusedInput) -> str:
    return one.reason if one.is_present else f"{one.reason}; no file is there any more"
