"""Files of outcomes: what workers leave for whoever commits. Light to import: no Beam, no kernels.

A worker writes one file a bundle, whole or not at all, one line of JSON an outcome. Names begin
with the time of writing, so their order is that of time, as far as the clocks of workers agree.

Who commits reads the files of a folder, records what they say in the journal, and only then
removes them (``storage.remove``). Broken off between the two, it meets the same outcomes again,
and the ledger knows them by their keys: to read a file twice changes nothing, to remove one too
early loses what it says until the flow file is found and counted again.
"""

import re
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from v6share.schemas.outcome import Outcome
from v6share.workspace import storage

_SUFFIX: Final = ".jsonl"
_NAME: Final = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-[0-9a-f]{32}\.jsonl")

_EXPECTED: Final = (
    "expected the whole file as a worker of this version wrote it; if it is being copied, let that "
    "end, else move it elsewhere and let `v6share run` find its inputs again"
)


class OutcomeFile(NamedTuple):
    """A file of outcomes that is whole, and what it says, in its order."""

    path: Path
    outcomes: tuple[Outcome, ...]


class RefusedFile(NamedTuple):
    """A file that is not one of outcomes, or is not whole, and why. Nothing of it is taken."""

    path: Path
    reason: str


class OutcomeFiles(NamedTuple):
    """The files of a folder, each kind by name, which is by time."""

    whole: tuple[OutcomeFile, ...]
    refused: tuple[RefusedFile, ...]


def write_outcomes(directory: Path, outcomes: Sequence[Outcome]) -> None:
    """Write the outcomes of a bundle to a file of their own; nothing where there are none."""
    if outcomes:
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex}{_SUFFIX}"
        lines = "".join(one.to_json() + "\n" for one in outcomes)
        storage.write(directory / name, lines.encode())


def read_outcome_files(directory: Path) -> OutcomeFiles:
    """Read every file of a folder; no folder is no file. Removes nothing.

    A file with another name, or in which any line is not exactly what a worker of this version
    writes, is refused as a whole: name it to the user, and leave it where it is. Raises OSError
    where the folder cannot be listed.
    """
    whole, refused = list[OutcomeFile](), list[RefusedFile]()
    for path in storage.list_files(directory):
        try:
            whole.append(OutcomeFile(path, _read(path)))
        except ValueError as error:
            refused.append(RefusedFile(path, str(error)))
        except OSError as error:
            refused.append(RefusedFile(path, f"cannot be read: {error.strerror}"))
    return OutcomeFiles(tuple(whole), tuple(refused))


def distinct_outcomes(files: Iterable[OutcomeFile]) -> list[Outcome]:
    """What files say, by path, each outcome once: an engine may give an input several times."""
    distinct = {one.to_json(): one for file in files for one in file.outcomes}
    return sorted(distinct.values(), key=lambda one: one.path)


def _read(path: Path) -> tuple[Outcome, ...]:
    """The outcomes of one file. Raises ValueError and OSError."""
    if not _NAME.fullmatch(path.name):
        raise ValueError(
            f"found a name that no worker gives, expected <UTC time>-<32 hex digits>{_SUFFIX}; "
            "move the file elsewhere"
        )
    return parse_outcome_lines(storage.read(path))


def parse_outcome_lines(data: bytes) -> tuple[Outcome, ...]:
    """The outcomes in the bytes of a file. Raises ValueError, with the line and what to do."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"found {error.reason} at byte {error.start}, {_EXPECTED}") from None
    # Not splitlines: that also cuts at separators which the name of a file may hold.
    *lines, rest = text.split("\n")
    if rest or not lines:
        raise ValueError(f"line {len(lines) + 1} is empty or has no end, {_EXPECTED}")
    outcomes = list[Outcome]()
    for number, line in enumerate(lines, 1):
        try:
            outcomes.append(Outcome.from_json(line))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}, {_EXPECTED}") from None
    return tuple(outcomes)
