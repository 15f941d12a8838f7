"""The commands that are disturbed, from which state, and what brings each of them to its end.

To have another command disturbed, add a line to ``COMMANDS``.
"""

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from faults.look import tables_of
from faults.processes import Command, in_child

FLOWS: Final = "{flows}"
RUN: Final = ("run", FLOWS)
_ONE_INPUT: Final = "{flows}/fixed-20250901.parquet"
_FORGET: Final = ("forget", _ONE_INPUT)
_ACCEPT: Final = ("quarantine", "accept", "--all")
_SWEEP: Final = ("stream", FLOWS, "--once", "--most-files", "1")
_BACKFILL: Final = ("backfill", "--since", "2025-09-01", "--until", "2025-09-08", FLOWS)
_BACKFILL_ALL: Final = (*_BACKFILL, "--reprocess", "all")
_REPAIR: Final = ("doctor", "--repair")
_CHECK: Final = ("check", "--results")
_PRUNE: Final = ("prune",)
_RETENTION: Final = "[retention]\nfive_minute_days = 1\nhourly_days = 2\nfragment_days = 1\n"
# How long before all others an input was counted, so that its fragment is old.
_LONG_AGO: Final = timedelta(days=400)

# A file that is refused now or was before, and an input that is withdrawn already.
FINE: Final = (0, 1)
FINE_OR_DONE: Final = (0, 5)


@dataclass(frozen=True)
class Disturbed:
    """A command that is disturbed.

    start: the state of the workspace before. end: the state whose tables it leads to. arguments: of
    the command. mend: the commands that bring it to its end after a fault, and the codes with which
    each may end. follows: it does not end by itself.
    """

    name: str
    start: str
    end: str
    arguments: Sequence[str]
    mend: Sequence[tuple[Sequence[str], Sequence[int]]]
    follows: bool = False


COMMANDS: Final = (
    Disturbed("first run", "empty", "all", RUN, [(RUN, FINE)]),
    Disturbed("run", "some", "all", RUN, [(RUN, FINE)]),
    Disturbed("run, other catalog", "changed", "recounted", RUN, [(RUN, FINE)]),
    Disturbed("stream once", "some", "all", _SWEEP, [(_SWEEP, FINE)]),
    Disturbed("stream", "some", "all", ("stream", FLOWS), [(_SWEEP, FINE)], follows=True),
    Disturbed("forget", "all", "forgotten", _FORGET, [(_FORGET, FINE_OR_DONE), (RUN, FINE)]),
    Disturbed("accept", "all", "accepted", _ACCEPT, [(_ACCEPT, (0,)), (RUN, FINE)]),
    Disturbed("rebuild", "all", "all", ("rebuild",), [(("rebuild",), (0,))]),
    Disturbed("backfill", "changed", "recounted", _BACKFILL, [(_BACKFILL, FINE)]),
    Disturbed("backfill of all", "all", "all", _BACKFILL_ALL, [(_BACKFILL_ALL, FINE)]),
    # Where nothing is left to be mended, the log of a warehouse waits for a command that writes.
    Disturbed("repair", "without warehouse", "all", _REPAIR, [(_REPAIR, (0,)), (RUN, FINE)]),
    Disturbed("check", "all", "all", _CHECK, [(_CHECK, (0,))]),
    Disturbed("prune", "old", "pruned", _PRUNE, [(_PRUNE, (0,))]),
)
# What may happen at once, and how it is brought to an end that is always the same.
AT_ONCE: Final = (
    RUN,
    ("run", "--wait", "60", FLOWS),
    _SWEEP,
    (*_SWEEP, "--wait", "60"),
    _FORGET,
    ("rebuild",),
    _BACKFILL_ALL,
    ("check", "--wait", "60"),
    ("prune", "--wait", "60"),
    ("status",),
    ("doctor",),
    ("kpi",),
)
RACE: Final = Disturbed(
    "commands", "some", "forgotten", (), [(RUN, FINE), (_FORGET, FINE_OR_DONE), (RUN, FINE)]
)

# Files of state are damaged where all is counted, and inputs are counted where nothing is.
_DAMAGE: Final = (
    Disturbed("flips", "all", "all", RUN, [(RUN, FINE)]),
    Disturbed("inputs", "empty", "all", RUN, [(RUN, FINE)]),
)
ALL: Final = {one.name: one for one in (*COMMANDS, RACE, *_DAMAGE)}


class World:
    """Flow files, and workspaces in the states that commands start from; made once, only copied.

    ``wanted`` has the tables of the states that commands lead to.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.flows = place / "flows"
        self.wanted: dict[str, dict[str, pa.Table]] = {}
        self._alone: dict[str, dict[str, pa.Table]] = {}

    def make(self) -> None:
        """Make all of it."""
        self.place.mkdir()
        sample = self.place / "sample"
        said = self.place / "said"
        _must(Command(["sample", str(sample), "--flows", "2000", "--days", "4"], said))
        self.flows.mkdir()
        empty = self.place / "empty"
        (empty / "state").mkdir(parents=True)
        shutil.copytree(sample / "catalog", empty / "catalog")
        some = self._state("some", "empty")
        for file in sorted((sample / "flows").iterdir()):
            self._arrive(file)
            # One after the other: after the second publish there is a standby.
            if file.name.startswith(("core", "datacenter", "fixed")):
                _must(self.command(some, RUN))
        bad = self.flows / "spoilt.parquet"
        bad.write_bytes(b"PAR1 and nothing else")
        let_rest(bad)
        self._state("all", "some", RUN)
        changed = self._state("changed", "all")
        _rename_an_app(changed / "catalog")
        self._state("recounted", "changed", RUN)
        self._state("forgotten", "all", _FORGET)
        self._state("accepted", "all", _ACCEPT, RUN)
        (self._state("without warehouse", "all") / "state" / "warehouse.duckdb").unlink()
        self._make_old()
        self._state("pruned", "old", _PRUNE)
        for end in ("all", "recounted", "forgotten", "accepted", "pruned"):
            root = self.place / end
            self.wanted[end] = in_child(partial(tables_of, root))

    def copy(self, state: str, to: Path) -> Path:
        """A workspace in a state, to be disturbed."""
        return Path(shutil.copytree(self.place / state, to))

    def alone(self, file: Path) -> dict[str, pa.Table]:
        """The tables where one flow file is all that was counted."""
        if file.name not in self._alone:
            root = self.copy("empty", self.place / f"alone-{os.getpid()}")
            _must(self.command(root, ["run", str(file)]))
            self._alone[file.name] = in_child(partial(tables_of, root))
            shutil.rmtree(root)
        return self._alone[file.name]

    def command(
        self,
        root: Path,
        arguments: Sequence[str],
        said: str = "said",
        **how: Any,
    ) -> Command:
        """Begin a command on a workspace. said: a name for what it says, beside the workspace."""
        filled = [argument.format(flows=self.flows) for argument in arguments]
        place = root.with_name(f"{root.name}-{said}")
        return Command(["-C", str(root), *filled], place, **how)

    def _state(self, name: str, before: str, *commands: Sequence[str]) -> Path:
        root = self.copy(before, self.place / name)
        for arguments in commands:
            _must(self.command(root, arguments), FINE)
        return root

    def _make_old(self) -> None:
        """A workspace with an input that was counted long ago, and settings that let it go."""
        older = self.place / "older"
        sample = ["sample", str(older), "--flows", "500", "--days", "2", "--start", "2025-08-20"]
        _must(Command(sample, self.place / "said"))
        old = self.copy("all", self.place / "old")
        (old / "v6share.toml").write_text(_RETENTION, encoding="utf-8")
        (file,) = (older / "flows").glob("fixed-*.parquet")
        _must(self.command(old, ("run", str(let_rest(file))), clock_back=_LONG_AGO))

    def _arrive(self, file: Path) -> None:
        let_rest(Path(shutil.copy(file, self.flows)))


def let_rest(file: Path) -> Path:
    """Make a file as old as one that nobody writes any more; the file."""
    os.utime(file, (time.time() - 3600,) * 2)
    return file


def _rename_an_app(catalog: Path) -> None:
    """Change the catalog so that all inputs are counted again, and come out otherwise."""
    apps = catalog / "apps.toml"
    text = apps.read_text(encoding="utf-8")
    name = text.partition('id = "')[2].partition('"')[0]
    for file in (apps, catalog / "endpoints.csv"):
        text = file.read_text(encoding="utf-8")
        changed = text.replace(f'"{name}"', f'"{name}-new"').replace(f"\n{name},", f"\n{name}-new,")
        file.write_text(changed, encoding="utf-8")


def _must(command: Command, codes: Sequence[int] = (0,)) -> None:
    ended = command.wait()
    if ended.code not in codes:
        raise RuntimeError(f"{command.arguments}: ended with {ended.code}: {ended.err}")
