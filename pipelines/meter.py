"""How far a run is."""

from dataclasses import dataclass, field
from threading import Lock


@dataclass
class Meter:
    """How far a run is, for a progress bar: only ever read for show."""

    rows: int = 0
    inputs: int = 0
    size: int = 0
    _lock: Lock = field(default_factory=Lock)

    def add(self, rows: int = 0, inputs: int = 0, size: int = 0) -> None:
        """Add what was done."""
        with self._lock:
            self.rows += rows
            self.inputs += inputs
            self.size += size
