"""``--since`` and ``--until``: a half-open span of UTC time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from v6share.schemas.errors import InputRefused, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from v6share.schemas.outcome import FoundInput

_BATCH_ROWS: Final = 65_536


@dataclass(frozen=True)
class Span:
    """[since_ms, until_ms) in Unix milliseconds; None is open."""

    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def is_unbounded(self) -> bool:
        """Whether every time lies in it."""
        return self.since_ms is None and self.until_ms is None

    def overlaps(self, first_ms: int, last_ms: int) -> bool:
        """Whether flows from ``first_ms`` to ``last_ms`` (both inclusive) touch it."""
        after = self.since_ms is None or last_ms >= self.since_ms
        return after and (self.until_ms is None or first_ms < self.until_ms)


def parse_span(since: str | None, until: str | None) -> Span:
    """The span of the two options. Raises UserError for what is no time, or no span."""
    span = Span(_parse_time("--since", since), _parse_time("--until", until))
    if span.since_ms is not None and span.until_ms is not None and span.since_ms >= span.until_ms:
        raise UserError(f"--since {since} is not before --until {until}; nothing could match")
    return span


def _parse_time(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(
            f"{option}: found {text!r}, expected a day or a time in UTC, such as 2026-01-31, "
            "2026-01-31T12:00 or 2026-01-31T12:00+09:00"
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def choose_inputs(
    inputs: "Sequence[FoundInput]", span: Span, dialect: str | None
) -> "tuple[list[FoundInput], list[FoundInput]]":
    """The inputs with flows in the span, and the others.

    Without --since and --until no file is opened.

    A file that cannot be read is chosen: the run will say what is wrong with it.
    """
    if span.is_unbounded:
        return list(inputs), []
    chosen: list[FoundInput] = []
    outside: list[FoundInput] = []
    for one in inputs:
        (chosen if _touches(one.path, span, dialect) else outside).append(one)
    return chosen, outside


def _touches(path: str, span: Span, dialect: str | None) -> bool:
    """Whether the file's time range overlaps; stops reading as soon as that is certain."""
    from v6share.pipelines.flow_file import open_flow_file  # here: most runs have no span

    first: int | None = None
    last: int | None = None
    try:
        file = open_flow_file(path, dialect)
        for batch in file.read(range(file.row_groups), _BATCH_ROWS):
            good = batch.faults == 0
            if not good.any():
                continue
            starts, ends = int(batch.start_ms[good].min()), int(batch.end_ms[good].max())
            first = starts if first is None else min(first, starts)
            last = ends if last is None else max(last, ends)
            if span.overlaps(first, last):
                return True
    except (InputRefused, OSError):
        return True
    return False
