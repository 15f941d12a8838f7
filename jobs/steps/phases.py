"""How long the steps of a job take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Phases:
    """Seconds by step, in the order of the steps."""

    def __init__(self) -> None:
        """Begin with none."""
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the time of the block to a step."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.monotonic() - began
