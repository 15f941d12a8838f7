"""The journal: what fragments cannot know, one JSON object a line, append only.

Journal and fragments together are the truth; the warehouse can be made from them at any time.
Every entry is safe to apply again, and carries its own time: applying never reads the clock.
All times are UTC without zone.

A crash during an append leaves at most one torn line at the end. Readers do not see it, and the
next append cuts it off. A bad line anywhere else is damage, and said so.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    TypeAdapter,
    ValidationError,
)

from v6share.schemas.errors import UserError
from v6share.schemas.fragment import FragmentKey
from v6share.workspace.durable import sync_directory


def _parse_time(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("expected a time as text")
    return datetime.fromisoformat(value)


def _format_time(moment: datetime) -> str:
    utc = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    return utc.isoformat(timespec="microseconds")


# What stands in an entry is taken as it is: "5" is no number, and a number is no time.
Text = Annotated[str, Strict()]
Whole = Annotated[int, Strict()]
Time = Annotated[datetime, BeforeValidator(_parse_time), PlainSerializer(_format_time)]

_NO_OTHERS: Final = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class SeenFile:
    """A file as the directory showed it when its content was identified."""

    path: str
    size: int
    mtime_ns: int
    input_id: str


@dataclass(frozen=True)
class CommittedInput:
    """One input of a commit: which fragment is live from now on, and where the file was."""

    __pydantic_config__ = _NO_OTHERS

    input_id: Text
    dialect: Text
    rules_version: Whole
    catalog_version: Text
    path: Text
    size: Whole
    mtime_ns: Whole

    @property
    def key(self) -> FragmentKey:
        """The fragment that this commit makes live."""
        return FragmentKey(self.input_id, self.dialect, self.rules_version, self.catalog_version)


@dataclass(frozen=True)
class Commit:
    """Fragments that count from now on; an older version of the same input no longer does."""

    __pydantic_config__ = _NO_OTHERS

    type: Literal["commit"] = field(default="commit", kw_only=True)
    run_id: Text
    at: Time
    inputs: tuple[CommittedInput, ...]


@dataclass(frozen=True)
class Quarantine:
    """An input that could not be counted. An older committed version of it goes on counting.

    dialect: the one that the user forced, or empty; without it, or with another, it may count.
    """

    __pydantic_config__ = _NO_OTHERS

    type: Literal["quarantine"] = field(default="quarantine", kw_only=True)
    run_id: Text
    at: Time
    input_id: Text
    path: Text
    size: Whole
    mtime_ns: Whole
    dialect: Text
    rules_version: Whole
    catalog_version: Text
    reason: Text
    detail: Text

    @property
    def key(self) -> FragmentKey:
        """The versions that refused it."""
        return FragmentKey(self.input_id, self.dialect, self.rules_version, self.catalog_version)


@dataclass(frozen=True)
class Seen:
    """A copy or a rename: another file with the content of an input that is known."""

    __pydantic_config__ = _NO_OTHERS

    type: Literal["seen"] = field(default="seen", kw_only=True)
    path: Text
    size: Whole
    mtime_ns: Whole
    input_id: Text


@dataclass(frozen=True)
class Forget:
    """Inputs that no longer count."""

    __pydantic_config__ = _NO_OTHERS

    type: Literal["forget"] = field(default="forget", kw_only=True)
    run_id: Text
    at: Time
    input_ids: tuple[Text, ...]
    reason: Text


@dataclass(frozen=True)
class Run:
    """One row of ledger_runs; the fields, without the type, are its columns."""

    __pydantic_config__ = _NO_OTHERS

    type: Literal["run"] = field(default="run", kw_only=True)
    run_id: Text
    command: Text
    code_version: Text
    rules_version: Whole
    catalog_version: Text
    started_at: Time
    finished_at: Time
    inputs_committed: Whole
    inputs_known: Whole
    inputs_quarantined: Whole
    rows_in: Whole
    rows_counted: Whole
    rows_rejected: Whole
    outcome: Text

    @property
    def row(self) -> dict[str, str | int | datetime]:
        """The values by column."""
        return {name: value for name, value in vars(self).items() if name != "type"}


Entry = Commit | Quarantine | Seen | Forget | Run

_ENTRIES: Final[TypeAdapter[Entry]] = TypeAdapter(Annotated[Entry, Field(discriminator="type")])

# What is read at once on the way from the end.
_STEP_BYTES: Final = 1 << 16


def format_entry(entry: Entry) -> str:
    """One line of JSON, without the newline."""
    return json.dumps(_ENTRIES.dump_python(entry, mode="json"))


def parse_entry(line: str | bytes) -> Entry:
    """The entry of one line. Raises ValueError for what is not an entry of this version."""
    # Not pydantic's own parser of JSON: it refuses half a surrogate pair, which is how a path whose
    # bytes are no UTF-8 is written.
    raw = json.loads(line)
    try:
        return _ENTRIES.validate_python(raw)
    except ValidationError as error:
        raise ValueError(_first_mistake(error)) from error


def _first_mistake(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]


def read(path: Path, from_offset: int = 0) -> Iterator[tuple[Entry, int]]:
    """The entries from a byte offset on, each with the offset at which it ends.

    A torn last line is not an entry. Raises UserError where the offset does not fit the file, or
    a line inside is damaged.
    """
    if not path.exists() and not from_offset:
        return
    _check_offset(path, from_offset)
    size = path.stat().st_size
    offset = from_offset
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            end = offset + len(line)
            entry = _whole_entry(line, path, offset, is_last=end >= size)
            if entry is None:
                return
            yield entry, end
            offset = end


def runs_backwards(path: Path) -> Iterator[Run]:
    """The runs, the newest first; to get the newest only the end of the file is read.

    For a look at a journal that another process may be writing: lines that are no run, or no
    entry at all, are passed over. Raises OSError where the file cannot be read.
    """
    for line in _lines_backwards(path):
        with suppress(ValueError):
            entry = parse_entry(line)
            if isinstance(entry, Run):
                yield entry


def _lines_backwards(path: Path) -> Iterator[bytes]:
    """The whole lines of a file, the last one first."""
    with path.open("rb") as file:
        position, begun = file.seek(0, os.SEEK_END), b""
        while position:
            step = min(position, _STEP_BYTES)
            position -= step
            file.seek(position)
            begun, *lines = (file.read(step) + begun).split(b"\n")
            yield from reversed(lines)
        yield begun


def _whole_entry(line: bytes, path: Path, offset: int, *, is_last: bool) -> Entry | None:
    if not line.endswith(b"\n"):
        return None
    try:
        return parse_entry(line)
    except ValueError as error:
        if is_last and not _is_json(line):
            return None
        raise _unreadable(path, offset, str(error)) from error


def _unreadable(path: Path, offset: int, why: str) -> UserError:
    return UserError(
        f"{path}: the entry at byte {offset} is not readable: {why}. Either a newer v6share "
        "wrote it (use that version), or the file is damaged (restore it from a backup)"
    )


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _check_offset(path: Path, offset: int) -> None:
    """The warehouse must not have applied more than the journal holds."""
    if not offset:
        return
    if not path.exists():
        raise UserError(
            f"{path}: not there, but the warehouse has applied {offset} bytes of it. Restore it "
            "from a backup: it says which fragments count. Where there is none, begin a new "
            "workspace and count the flow files again"
        )
    size = path.stat().st_size
    if offset > size or _byte_before(path, offset) != b"\n":
        raise UserError(
            f"{path}: {size} bytes, but the warehouse has applied {offset}, up to the end of an "
            "entry: this is another journal, or an older one. Restore the right one from a "
            "backup. Where this is the right one, `v6share rebuild` makes the warehouse from it; "
            "it changes nothing where a run would be lost, and says which"
        )


def _byte_before(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset - 1)
        return file.read(1)


def append(path: Path, entries: Sequence[Entry], applied: int = 0) -> int:
    """Write the entries durably, in one write, and return the offset at which they end.

    A torn last line is cut off first, and when the write fails, what was written of these.
    applied: up to where the journal is in the tables. Raises UserError where what is torn lies
    before that: it was whole, and is damaged.
    """
    created = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        start = _cut_torn_line(descriptor, path, applied)
        _write_at(descriptor, start, entries)
        end = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    if created:
        sync_directory(path.parent)
    return end


def _write_at(descriptor: int, start: int, entries: Sequence[Entry]) -> None:
    data = "".join(format_entry(entry) + "\n" for entry in entries).encode()
    try:
        written = os.pwrite(descriptor, data, start)
        if written < len(data):
            raise OSError(f"only {written} of {len(data)} bytes of the journal were written")
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, start)
        raise


def _cut_torn_line(descriptor: int, path: Path, applied: int) -> int:
    size = os.fstat(descriptor).st_size
    start = _last_line_start(descriptor, size)
    tail = os.pread(descriptor, size - start, start)
    if tail and (not tail.endswith(b"\n") or not _is_json(tail)):
        if start < applied:
            raise _unreadable(path, start, "it is cut off, or no JSON")
        os.ftruncate(descriptor, start)
        return start
    return size


def _last_line_start(descriptor: int, size: int) -> int:
    """Where the last line starts: after the last newline that is not the file's last byte."""
    end = size - 1
    while end > 0:
        begin = max(0, end - _STEP_BYTES)
        found = os.pread(descriptor, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0
