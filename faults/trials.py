"""Trials: each puts one workspace through one fault, and says what came of it.

A trial is known by its key, such as ``kill at a step/run/fsync journal/2/before``; the key and the
seed decide all that is left to chance. What it must end with is always the same: who reads
meanwhile sees what is whole, the command ends as the table of exit codes says or was killed, and
once it is run again all tables are those of a workspace that nobody disturbed.
"""

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow.parquet as pq

from faults import look
from faults.commands import ALL, AT_ONCE, FINE, RUN, Disturbed, World, let_rest
from faults.processes import PATIENCE_SECONDS, Asked, Command, Ended, in_child
from faults.seam import CHANGES, FAILING, NO_ROOM, READ_ONLY, READS, Call, Decision, part_of

# equal: after the command was run again. found: refused, or said by doctor. harmless: equal, and
# nobody said anything. as it stands: an input whose flipped bit nothing can tell from a good one;
# plain SQL counts the same. missed: the command had ended before the fault.
Verdict = Literal["equal", "found", "harmless", "as it stands", "missed", "failed"]

KILL_AT_STEP: Final = "kill at a step"
KILL_AT_RANDOM: Final = "kill at random"
KILL_WITH_GATE: Final = "kill with the gate on"
FULL_DISK: Final = "full disk"
READ_ONLY_DISK: Final = "disk gone read-only"
FAILING_READ: Final = "failing read"
CLOCK: Final = "clock set back"
AT_THE_SAME_TIME: Final = "several at once"
FLIPPED_STATE: Final = "flipped bit of state"
FLIPPED_INPUT: Final = "flipped bit of an input"
CORPUS: Final = "damaged file of a corpus"

# Of the commands, so many are started as the program, and not as a fork.
_AFRESH: Final = 0.02
_NEEDS_NO_ROOM: Final = frozenset({"unlink", "unlinkat", "rmdir", "chmod", "fchmod", "fchmodat"})
_PLACES: Final = ("", "", "state", "published")
_BACK: Final = (timedelta(hours=3), timedelta(days=800))
# How often a command is killed before it is left to end, at most.
_KILLS_IN_A_ROW: Final = 3


@dataclass(frozen=True)
class Result:
    """What came of a trial. times: how often a command was disturbed in it."""

    key: str
    verdict: Verdict
    note: str
    times: int
    seconds: float

    @property
    def kind(self) -> str:
        """The kind of fault."""
        return self.key.split("/")[0]

    @property
    def command(self) -> str:
        """The name of the command that was disturbed."""
        return self.key.split("/")[1]


class Failed(Exception):  # noqa: N818 - a name for what is found
    """What is promised did not hold."""


def expect(odd: str) -> None:
    """Raise Failed where something is odd."""
    if odd:
        raise Failed(odd)


def perform(world: World, key: str, seed: int, seconds: Mapping[str, float], place: Path) -> Result:
    """One trial in a folder of its own. seconds: how long each command takes undisturbed."""
    began = time.monotonic()
    kind, name, *details = key.split("/", 2)
    one = ALL[name]
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    chance = random.Random(f"{seed} {key}")
    trial = Trial(world, one, world.copy(one.start, place / "ws"), chance, seconds.get(name, 0))
    try:
        verdict, note = _KINDS[kind](trial, *details), trial.note
        _expect_no_orphans()
    except (Failed, RuntimeError) as failed:
        verdict, note = "failed", str(failed)
        trial.end_all()
    return Result(key, verdict, note, trial.times, round(time.monotonic() - began, 2))


@dataclass
class Trial:
    """One trial: its workspace, chance, and how often it has disturbed a command so far."""

    world: World
    one: Disturbed
    root: Path
    chance: random.Random
    seconds: float
    times: int = 0
    note: str = ""

    def begin(self, **how: Any) -> Command:
        """Begin the command that is disturbed; seldom as the program that it is for others."""
        # Where there is no key yet, a program of its own would make one that no other has.
        has_key = (self.root / "state" / "client.key").exists()
        afresh = self.chance.random() < _AFRESH and has_key
        return self.world.command(self.root, self.one.arguments, afresh=afresh, **how)

    def reaches(self, path: str, place: str = "") -> bool:
        """Whether a path is in the workspace, or is a flow file. place: a folder of the former."""
        if place:
            return bool(part_of(path, self.root / place))
        return bool(part_of(path, self.root)) or path.startswith(str(self.world.flows))

    def readers_see_whole(self) -> None:
        """Expect that what is published is whole."""
        expect(in_child(partial(look.what_readers_miss, self.root)))

    def begin_reader(self) -> Asked[str]:
        """Read what is published until ``end``, in a process beside all others."""
        return Asked.begin(partial(look.read_until, self._reading_ends, self.root))

    def end(self, reader: Asked[str]) -> str:
        """What a reader met that was wrong."""
        self._reading_ends.touch()
        return reader.answer()

    def end_all(self) -> None:
        """End whatever is still at work, of a trial that has failed."""
        self._reading_ends.touch()
        with suppress(ChildProcessError):
            for process in _children(os.getpid()):
                os.kill(process, signal.SIGKILL)
            while True:
                os.waitpid(-1, 0)

    @property
    def _reading_ends(self) -> Path:
        return self.root.parent / "reading-ends"

    def mend(self) -> None:
        """Run the command again, and expect all to be as if nothing had been.

        The tables are those that are wanted, nothing is left behind, and doctor finds nothing.
        """
        for arguments, codes in self.one.mend:
            ended = self.world.command(self.root, arguments).wait()
            expect(_of(arguments, look.ill_ended(ended, codes)))
        expect(self.differences())
        expect(look.what_doctor_finds(self.doctor()))
        expect(look.leftovers(self.root))

    def differences(self) -> str:
        """What the tables differ in from those that are wanted."""
        wanted = self.world.wanted[self.one.end]
        return in_child(partial(look.differences, self.root, wanted))

    def doctor(self, *options: str) -> Ended:
        """What doctor says."""
        return self.world.command(self.root, ["doctor", "--format", "json", *options]).wait()


def _of(arguments: Sequence[str], odd: str) -> str:
    return f"{' '.join(arguments)}: {odd}" if odd else ""


def _expect_no_orphans() -> None:
    """Expect that what a killed command had started ends by itself. It is a child of ours then."""
    until = time.monotonic() + PATIENCE_SECONDS
    with suppress(ChildProcessError):
        while time.monotonic() < until:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.05)
        raise Failed("a process that a killed command had started goes on")


# Kills


def _kill_at_step(trial: Trial, details: str) -> Verdict:
    """Kill the command where it is about to do a step, or when it has done half of it."""
    step, nth, how = details.split("/")
    seen = 0

    def decide(call: Call) -> Decision:
        nonlocal seen
        if step_of(call, trial.root) != step:
            return "go on"
        seen += 1
        if seen != int(nth):
            return "go on"
        trial.times = 1
        return "tear" if how == "half" else "kill"

    ended = trial.begin(held=CHANGES).serve(decide)
    if not trial.times:
        expect(look.ill_ended(ended))
        return "missed"
    trial.readers_see_whole()
    trial.mend()
    return "equal"


def step_of(call: Call, root: Path) -> str:
    """The name of a step, such as ``rename published file``; empty where it changes nothing."""
    part = part_of(call.path, root) if call.changes else ""
    return f"{call.name} {part}" if part else ""


def _kill_at_random(trial: Trial, _number: str) -> Verdict:
    """Kill the command some times in a row, each time at another moment, beside a reader."""
    reader = trial.begin_reader()
    for _ in range(trial.chance.randint(1, _KILLS_IN_A_ROW)):
        command = trial.begin()
        if not command.ends_within(trial.chance.uniform(0, trial.seconds)):
            trial.times += 1
            command.kill()
        ended = command.wait()
        if ended.code != -signal.SIGKILL:
            expect(look.ill_ended(ended))
    trial.mend()
    expect(trial.end(reader))
    return "equal" if trial.times else "missed"


def _kill_with_gate(trial: Trial, _number: str) -> Verdict:
    """Kill the command, or the process of its gate alone, while the gate is on."""
    command = trial.begin(env={"V6SHARE_QUALITY__GATE": "true"})
    of_gate = trial.chance.random() < 0.5
    if not command.ends_within(trial.chance.uniform(0, trial.seconds + 10)):
        gates = _children(command.process)
        trial.times = 1
        if of_gate and gates:
            os.kill(gates[0], signal.SIGKILL)
        else:
            command.kill()
    ended = command.wait()
    if ended.code != -signal.SIGKILL:
        expect(look.ill_ended(ended))
    trial.readers_see_whole()
    trial.mend()
    return "equal" if trial.times else "missed"


def _children(process: int) -> list[int]:
    with suppress(OSError):
        return [
            int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()
        ]
    return []


# Errors of the system


def _fail_calls(
    trial: Trial, nth: int, error: int, is_meant: Callable[[Call], bool], *, once: bool = False
) -> Verdict:
    """Let the nth call that is meant fail, and all that follow unless ``once``."""
    seen = 0

    def decide(call: Call) -> Decision:
        nonlocal seen
        if not is_meant(call):
            return "go on"
        seen += 1
        if seen < nth or (once and seen > nth):
            return "go on"
        trial.times = 1
        trial.note = trial.note or f"{call.name} {part_of(call.path, trial.root) or 'flow file'}"
        return error

    ended = trial.begin(held=READS if error == FAILING else CHANGES).serve(decide)
    expect(look.ill_ended(ended))
    trial.readers_see_whole()
    trial.mend()
    return "equal" if trial.times else "missed"


def _full_disk(trial: Trial, nth: str) -> Verdict:
    def needs_room(call: Call) -> bool:
        return call.changes and call.name not in _NEEDS_NO_ROOM and trial.reaches(call.path)

    return _fail_calls(trial, int(nth), NO_ROOM, needs_room)


def _read_only_disk(trial: Trial, nth: str) -> Verdict:
    place = trial.chance.choice(_PLACES)

    def is_change(call: Call) -> bool:
        return call.changes and trial.reaches(call.path, place)

    return _fail_calls(trial, 1 if place else int(nth), READ_ONLY, is_change)


def _failing_read(trial: Trial, nth: str) -> Verdict:
    def is_read(call: Call) -> bool:
        return not call.creates and trial.reaches(call.path)

    return _fail_calls(trial, int(nth), FAILING, is_read, once=trial.chance.random() < 0.5)


def _clock_set_back(trial: Trial, _number: str) -> Verdict:
    """Run the command by a clock that is behind what the workspace has seen."""
    trial.times = 1
    back = trial.chance.choice(_BACK)
    ended = trial.world.command(trial.root, trial.one.arguments, clock_back=back).wait()
    expect(look.ill_ended(ended))
    trial.readers_see_whole()
    trial.mend()
    return "equal"


# Several at once


def _several_at_once(trial: Trial, _number: str) -> Verdict:
    """Two to four commands at once, of any kind, beside readers."""
    commands, reader = [], trial.begin_reader()
    for number in range(trial.chance.randint(2, 4)):
        arguments = trial.chance.choice(AT_ONCE)
        trial.note += f"{', ' if number else ''}{' '.join(arguments)}"
        commands.append(trial.world.command(trial.root, arguments, said=f"said{number}"))
        time.sleep(trial.chance.choice((0.0, trial.chance.uniform(0, 0.5))))
    trial.times = 1
    ends = [command.wait() for command in commands]
    for command, ended in zip(commands, ends, strict=True):
        expect(_of(command.arguments, look.ill_ended(ended)))
    trial.mend()
    expect(trial.end(reader))
    return "equal"


# Damage


def flip(file: Path, chance: random.Random) -> str:
    """Flip a bit of a file, which keeps its times; where it is."""
    data, status = bytearray(file.read_bytes()), file.stat()
    at, bit = chance.randrange(len(data)), chance.randrange(8)
    data[at] ^= 1 << bit
    file.write_bytes(data)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    return f"bit {bit} of byte {at}"


def _flipped_state(trial: Trial, _number: str) -> Verdict:
    """Flip a bit of a file of state: it is found, or it harms nobody.

    What is declared has nothing that it could be compared with.
    """
    files = sorted(
        file
        for file in trial.root.rglob("*")
        if file.is_file() and file.stat().st_size and file.parent.name != "catalog"
    )
    file = trial.chance.choice(files)
    trial.note = f"{file.relative_to(trial.root)}: {flip(file, trial.chance)}"
    trial.times = 1
    doctor = trial.doctor()
    expect(_of(["doctor"], look.ill_ended(doctor)))
    shown = trial.world.command(trial.root, ["kpi"]).wait()
    expect(_of(["kpi"], look.ill_ended(shown)))
    ended = trial.world.command(trial.root, RUN).wait()
    expect(_of(RUN, look.ill_ended(ended)))
    if doctor.code:
        _mend_by_doctor(trial)
        return "found"
    if ended.code not in FINE:
        return "found"
    odd = trial.differences()
    expect(f"other numbers in silence, {trial.note}: {odd}" if odd else "")
    return "harmless"


def _mend_by_doctor(trial: Trial) -> None:
    """Where doctor says that it mends the damage, expect all to be as it was."""
    repaired = trial.doctor("--repair")
    expect(_of(["doctor", "--repair"], look.ill_ended(repaired)))
    if not repaired.code:
        ended = trial.world.command(trial.root, RUN).wait()
        expect(_of([*RUN, "(after repair)"], look.ill_ended(ended, FINE)))
        odd = trial.differences()
        expect(f"after repair, {trial.note}: {odd}" if odd else "")


def _flipped_input(trial: Trial, _number: str) -> Verdict:
    """Flip a bit of a flow file: it is refused, or it gives what plain SQL finds in it as well."""
    whole = trial.chance.choice(sorted(trial.world.flows.glob("*-*.parquet")))
    file = trial.root.parent / whole.name
    sealed = trial.chance.random() < 0.5
    in_child(partial(_copy_with_checksums if sealed else shutil.copyfile, whole, file))
    trial.note = f"{file.name}{', with checksums' if sealed else ''}: {flip(file, trial.chance)}"
    trial.times = 1
    let_rest(file)
    ended = trial.world.command(trial.root, ["run", str(file)]).wait()
    expect(look.ill_ended(ended))
    if ended.code:
        return "found"
    trial.readers_see_whole()
    if not in_child(partial(look.differences_of_numbers, trial.root, trial.world.alone(whole))):
        return "harmless"
    reconciled = trial.world.command(trial.root, ["reconcile", str(file)]).wait()
    expect(_of(["reconcile"], look.ill_ended(reconciled, (0,))))
    return "as it stands"


def _copy_with_checksums(file: Path, to: Path) -> None:
    """Copy a flow file so that each page has a checksum, as some collectors write them."""
    pq.write_table(pq.read_table(file), to, write_page_checksum=True)


def _of_corpus(trial: Trial, path: str) -> Verdict:
    """Count a file that is known to break readers."""
    file = Path(shutil.copy(Path("/") / path, trial.root.parent))
    file.chmod(0o644)
    let_rest(file)
    trial.times = 1
    ended = trial.world.command(trial.root, ["run", str(file)]).wait()
    expect(look.ill_ended(ended, FINE))
    trial.readers_see_whole()
    return "found" if ended.code else "harmless"


_KINDS: Final[Mapping[str, Callable[..., Verdict]]] = {
    KILL_AT_STEP: _kill_at_step,
    KILL_AT_RANDOM: _kill_at_random,
    KILL_WITH_GATE: _kill_with_gate,
    FULL_DISK: _full_disk,
    READ_ONLY_DISK: _read_only_disk,
    FAILING_READ: _failing_read,
    CLOCK: _clock_set_back,
    AT_THE_SAME_TIME: _several_at_once,
    FLIPPED_STATE: _flipped_state,
    FLIPPED_INPUT: _flipped_input,
    CORPUS: _of_corpus,
}
