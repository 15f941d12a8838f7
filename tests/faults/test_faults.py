"""The short form of ``make faults``: a few faults of every kind, the same ones each time."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from faults.__main__ import read_results
from faults.report import BEGIN, END, figures, write_figures
from faults.seam import why_unsupported
from faults.trials import Result

pytestmark = pytest.mark.long

SIZES = {"kills": 8, "errors": 8, "races": 1, "flips": 4, "gates": 0, "corpora": 0}
ANYWHERE = {
    "kill at random",
    "clock set back",
    "several at once",
    "flipped bit of state",
    "flipped bit of an input",
}
WHERE_CALLS_ARE_HELD = {"kill at a step", "full disk", "disk gone read-only", "failing read"}


def test_whatever_happens_the_tables_are_the_same_in_the_end(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    sizes = [f"--{name}={count}" for name, count in SIZES.items()]
    done = subprocess.run(
        [sys.executable, "-m", "faults", *sizes, "--out", tmp_path, "--page", page],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = read_results(tmp_path / "results-1.jsonl")
    reached = Counter(one.kind for one in results if one.verdict != "missed")
    assert reached.keys() >= ANYWHERE | (set() if why_unsupported() else WHERE_CALLS_ARE_HELD)
    assert figures(results).splitlines()[2:] == page.read_text().splitlines()[3:-1]


def test_figures_are_counted_by_kind_and_command() -> None:
    said = figures(
        [
            Result("kill at a step/run/fsync journal/1/before", "equal", "", 1, 1800),
            Result("kill at random/run/3", "failed", "lost", 3, 1800),
            Result("full disk/rebuild/9", "missed", "", 0, 3600),
        ]
    )
    assert "2 trials with 4 faults in 2.0 hours of work; in 1 more" in said
    assert "| kill at random | 1 | 3 | 0 | 0 | 0 | 0 | 1 |" in said
    assert "| run | 2 | 4 | 1 | 0 | 0 | 0 | 1 |" in said


def test_the_page_has_a_place_for_the_figures(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text()
    page.write_text(text)
    write_figures(page, [Result("several at once/commands/1", "equal", "", 1, 1)])
    written = page.read_text()
    assert "| several at once | 1 | 1 | 1 | 0 | 0 | 0 | 0 |" in written
    assert written.partition(BEGIN)[0] == text.partition(BEGIN)[0]
    assert written.partition(END)[2] == text.partition(END)[2]
