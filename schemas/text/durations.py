"""Durations as people write them: ``90m``, ``2h``, ``1d 12h``. Pure."""

import re
from datetime import timedelta
from typing import Final

_SECONDS: Final = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PART: Final = re.compile(r"(\d{1,9})\s*([wdhms])", re.ASCII)
_WHOLE: Final = re.compile(rf"\s*(?:{_PART.pattern}\s*)+", re.ASCII)
LONGEST: Final = timedelta(days=3650)
EXPECTED: Final = "a duration of 1s to 3650d, such as 90m, 2h or 1d"


def parse_duration(text: str) -> timedelta | None:
    """The duration that a text stands for; None where it is none, is 0 or is above ``LONGEST``.

    Weeks, days, hours, minutes and seconds: ``w``, ``d``, ``h``, ``m``, ``s``; several are added.
    """
    if not _WHOLE.fullmatch(text):
        return None
    seconds = sum(int(count) * _SECONDS[unit] for count, unit in _PART.findall(text))
    return timedelta(seconds=seconds) if 0 < seconds <= LONGEST.total_seconds() else None


def duration_for_people(duration: timedelta) -> str:
    """Its two largest units, rounded down, in the same letters: ``3d 4h``, ``2h``, ``0s``.

    Weeks are given in days: ``21d`` says more than ``3w``.
    """
    left = max(0, int(duration.total_seconds()))
    parts: list[str] = []
    for unit, seconds in list(_SECONDS.items())[1:]:
        count, left = divmod(left, seconds)
        if parts or count:
            parts.append(f"{count}{unit}" if count else "")
    return " ".join(filter(None, parts[:2])) or "0s"
