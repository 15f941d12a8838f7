"""The sample in the repository, and a run over it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).parents[2] / "data" / "sample"


@dataclass(frozen=True)
class Counted:
    """A run over the whole sample: where it is and what it said."""

    root: Path
    code: int
    run: dict[str, Any]
    rejects: list[dict[str, Any]]
    said: str
