"""Which trials there are to be: every step of every command in turn, and chance beside it."""

import random
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from faults.commands import COMMANDS, RACE, Disturbed, World
from faults.seam import CHANGES, READS, Call, Decision, part_of
from faults.trials import (
    AT_THE_SAME_TIME,
    CLOCK,
    CORPUS,
    FAILING_READ,
    FLIPPED_INPUT,
    FLIPPED_STATE,
    FULL_DISK,
    KILL_AT_RANDOM,
    KILL_AT_STEP,
    KILL_WITH_GATE,
    READ_ONLY_DISK,
    step_of,
)

# Kills in the middle of a write are for these calls alone.
_TORN: Final = ("write ", "pwrite64 ")
_READ: Final = "read"


@dataclass(frozen=True)
class Sizes:
    """How many kills, about, and how many trials of other kinds.

    gates: kills with the gate on. corpora: files that are known to break readers, at most.
    """

    kills: int = 5000
    errors: int = 1200
    races: int = 200
    flips: int = 10_000
    gates: int = 50
    corpora: int = 1000


@dataclass(frozen=True)
class Measured:
    """What a command does undisturbed: its steps, its reads, and how long it takes."""

    steps: Counter[str]
    reads: int
    seconds: float


def measure(world: World, place: Path, *, holds: bool) -> dict[str, Measured]:
    """Run each command that ends by itself, undisturbed, and note what it does.

    holds: whether system calls can be held. Else nobody knows of steps, and none is disturbed.
    """
    ended = (one for one in COMMANDS if not one.follows)
    return {one.name: _measured(world, one, place, holds=holds) for one in ended}


def _measured(world: World, one: Disturbed, place: Path, *, holds: bool) -> Measured:
    root, seen = world.copy(one.start, place), Counter[str]()

    def note(call: Call) -> Decision:
        if part_of(call.path, root):
            seen.update([step_of(call, root) or _READ])
        return "go on"

    command = world.command(root, one.arguments, held=CHANGES | READS if holds else ())
    ended = command.serve(note) if holds else command.wait()
    shutil.rmtree(root)
    reads = seen.pop(_READ, 1)
    return Measured(seen, reads, ended.seconds)


def seconds_of(measured: dict[str, Measured]) -> dict[str, float]:
    """In what time each command is killed: a stream that does not end, while it works or after."""
    swept = measured["stream once"].seconds
    following = {one.name: 1.5 * swept for one in COMMANDS if one.follows}
    return {name: one.seconds for name, one in measured.items()} | following


def plan(
    measured: dict[str, Measured], sizes: Sizes, seed: int, corpora: Sequence[Path]
) -> list[str]:
    """The keys of all trials, in an order by chance: what was done so far is a fair part of it."""
    chance = random.Random(seed)
    files = chance.sample(corpora, min(sizes.corpora, len(corpora)))
    keys = [
        *islice(_steps(measured, chance), sizes.kills // 2),
        *islice(_numbered(KILL_AT_RANDOM, [one.name for one in COMMANDS]), sizes.kills // 4),
        *islice(_numbered(KILL_WITH_GATE, ["run", "stream once", "forget"]), sizes.gates),
        *islice(_errors(measured, chance), sizes.errors),
        *islice(_numbered(CLOCK, list(measured)), sizes.errors // 8),
        *islice(_numbered(AT_THE_SAME_TIME, [RACE.name]), sizes.races),
        *islice(_numbered(FLIPPED_STATE, ["flips"]), sizes.flips * 3 // 4),
        *islice(_numbered(FLIPPED_INPUT, ["inputs"]), sizes.flips // 4),
        *(f"{CORPUS}/inputs/{str(file).lstrip('/')}" for file in files),
    ]
    chance.shuffle(keys)
    return keys


def _numbered(kind: str, names: Sequence[str]) -> Iterator[str]:
    return (f"{kind}/{name}/{number}" for number, name in enumerate(cycle(names)))


def _steps(measured: dict[str, Measured], chance: random.Random) -> Iterator[str]:
    """Each step of each command once, at some of its times; then again at others."""
    points = [(name, step) for name, one in measured.items() for step in sorted(one.steps)]
    chance.shuffle(points)
    for name, step in cycle(points):
        nth = chance.randint(1, measured[name].steps[step])
        half = step.startswith(_TORN) and chance.random() < 0.5
        yield f"{KILL_AT_STEP}/{name}/{step}/{nth}/{'half' if half else 'before'}"


def _errors(measured: dict[str, Measured], chance: random.Random) -> Iterator[str]:
    for name, one in cycle((name, one) for name, one in measured.items() if one.steps):
        yield f"{FULL_DISK}/{name}/{chance.randint(1, one.steps.total())}"
        yield f"{READ_ONLY_DISK}/{name}/{chance.randint(1, one.steps.total())}"
        yield f"{FAILING_READ}/{name}/{chance.randint(1, one.reads)}"
