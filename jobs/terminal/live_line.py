"""One line on a terminal that says how a long job stands; messages scroll above it."""

import sys
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING

from v6share.jobs.terminal.progress import draws

if TYPE_CHECKING:
    from rich.status import Status


class LiveLine(AbstractContextManager["LiveLine"]):
    """The line, where there is a terminal to draw it on; elsewhere nothing."""

    def __init__(self) -> None:
        """Draw nothing yet."""
        self._status: Status | None = None

    def __enter__(self) -> "LiveLine":
        """Draw the line."""
        if draws(sys.stderr):
            from rich.console import Console
            from rich.status import Status

            self._status = Status("starting", console=Console(stderr=True), refresh_per_second=2)
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take it away."""
        if self._status is not None:
            self._status.stop()

    @property
    def is_drawn(self) -> bool:
        """Whether anybody sees it."""
        return self._status is not None

    def show(self, text: str) -> None:
        """Replace the text."""
        if self._status is not None:
            from rich.text import Text

            self._status.update(Text(text))
