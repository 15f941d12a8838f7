"""What became of one input: the one message that pipelines send and the committer reads.

An input passes three stages, each with words of its own:

- before counting, ``Fate`` (``warehouse/ledger/rerun.py``): what a run has to do with a found
  file. todo, known, refused, forgotten.
- counting, ``Status`` (here): what came of it. fragment, known, quarantined, busy, failed.
- afterwards, ``Status`` (``warehouse/ledger/changes.py``): what the ledger says of a version of
  the input. committed, quarantined, superseded, forgotten.

An input that is refused is quarantined: both words mean the same.
"""

import json
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Final, Literal

from pydantic import TypeAdapter, ValidationError

from v6share.schemas.fragment import FragmentFile, FragmentKey

Status = Literal["fragment", "known", "quarantined", "busy", "failed"]
# Of these nobody has learnt the content, so they have no key.
_WITHOUT_KEY: Final = ("busy", "failed")


@dataclass(frozen=True)
class Outcome:
    """What became of one input in one run.

    status: ``fragment`` - a fragment is written; ``known`` - the content is committed already
    (a copy or a rename); ``quarantined`` - refused, with reason and detail; ``busy`` - still
    being written, left for the next run; ``failed`` - its bytes could not be had (no permission,
    an I/O error), or its sums do not fit beside those of others: it is tried again at every run.
    key: set for fragment and known; for quarantined it names the versions that refused it,
    with the dialect that the user forced, or none.
    largest_sum: of its counted packets and bytes, scaled or as exported.
    fragment: the file that was written, set for fragment.
    """

    path: str
    size: int
    mtime_ns: int
    status: Status
    key: FragmentKey | None = None
    rows_in: int = 0
    rows_counted: int = 0
    rows_rejected: int = 0
    largest_sum: int = 0
    rows_without_interval: dict[str, int] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""
    fragment: FragmentFile | None = None

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> "Outcome":
        """The outcome that ``to_json`` wrote. Raises ValueError where it did not write this."""
        try:
            outcome = _lines().validate_json(line, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "the line"
            raise ValueError(f"{place}: {first['msg']}") from None
        if (outcome.key is None) != (outcome.status in _WITHOUT_KEY):
            raise ValueError(f"key: found {outcome.key} with the status {outcome.status}")
        if (outcome.fragment is None) != (outcome.status != "fragment"):
            raise ValueError(f"fragment: found {outcome.fragment} with the status {outcome.status}")
        if outcome.to_json() != line:
            raise ValueError("its fields are not those of this version, or not as it writes them")
        return outcome


@cache
def _lines() -> TypeAdapter[Outcome]:
    return TypeAdapter(Outcome)


@dataclass(frozen=True, order=True)
class FoundInput:
    """A flow file that a run was pointed at, as the directory shows it; nothing is opened yet.

    path: absolute, in the caller's spelling (symbolic links are kept).
    size: bytes. mtime_ns: last modification, nanoseconds since 1970 UTC.
    """

    path: str
    size: int
    mtime_ns: int

    @property
    def order_of_work(self) -> tuple[int, str]:
        """Sorts large inputs first: the last to end is then a small one."""
        return -self.size, self.path
