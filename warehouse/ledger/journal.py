"""The journal: what fragments cannot know, one JSON object a line, append only.

Journal and fragments together are the truth; the warehouse can be made from them at any time.
Every entry is safe to apply again, and carries its own time: applying never reads the clock.
All times are UTC without zone.

A crash during an append leaves at most one torn line at the end. Readers do not see it, and the
next append cuts it off. A bad line anywhere else is damage, and said so.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from v6share.schemas.errors import UserError
from v6share.schemas.fragment import FragmentKey
from v6share.workspace.durable import sync_directory


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

    input_id: str
    dialect: str
    rules_version: int
    catalog_version: str
    path: str
    size: int
    mtime_ns: int

    @property
    def key(self) -> FragmentKey:
        """The fragment that this commit makes live."""
        return FragmentKey(self.input_id, self.dialect, self.rules_version, self.catalog_version)


@dataclass(frozen=True)
class Commit:
    """Fragments that count from now on; an older version of the same input no longer does."""

    run_id: str
    at: datetime
    inputs: tuple[CommittedInput, ...]


@dataclass(frozen=True)
class Quarantine:
    """An input that could not be counted. An older committed version of it goes on counting.

    dialect: the one that the user forced, or empty; without it, or with another, it may count.
    """

    run_id: str
    at: datetime
    input_id: str
    path: str
    size: int
    mtime_ns: int
    dialect: str
    rules_version: int
    catalog_version: str
    reason: str
    detail: str

    @property
    def key(self) -> FragmentKey:
        """The versions that refused it."""
        return FragmentKey(self.input_id, self.dialect, self.rules_version, self.catalog_version)


@dataclass(frozen=True)
class Seen:
    """A copy or a rename: another file with the content of an input that is known."""

    path: str
    size: int
    mtime_ns: int
    input_id: str


@dataclass(frozen=True)
class Forget:
    """Inputs that no longer count."""

    run_id: str
    at: datetime
    input_ids: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Run:
    """One row of ledger_runs; the fields are its columns."""

    run_id: str
    command: str
    code_version: str
    rules_version: int
    catalog_version: str
    started_at: datetime
    finished_at: datetime
    inputs_committed: int
    inputs_known: int
    inputs_quarantined: int
    rows_in: int
    rows_counted: int
    rows_rejected: int
    outcome: str


Entry = Commit | Quarantine | Seen | Forget | Run

_TYPES: Final[dict[str, type[Entry]]] = {
    "commit": Commit,
    "quarantine": Quarantine,
    "seen": Seen,
    "forget": Forget,
    "run": Run,
}
_NAMES: Final = {kind: name for name, kind in _TYPES.items()}
_TIMES: Final = frozenset({"at", "started_at", "finished_at"})

# What is read at once on the way from the end.
_STEP_BYTES: Final = 1 << 16


def format_entry(entry: Entry) -> str:
    """One line of JSON, without the newline."""
    return json.dumps({"type": _NAMES[type(entry)], **_plain(entry)})


def _plain(value: Any) -> dict[str, Any]:
    return {f.name: _plain_value(getattr(value, f.name)) for f in fields(value)}


def _plain_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return _utc(value).isoformat(timespec="microseconds")
    if isinstance(value, tuple):
        return [_plain(v) if isinstance(v, CommittedInput) else v for v in value]
    return value


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def parse_entry(line: str | bytes) -> Entry:
    """The entry of one line. Raises ValueError for what is not an entry of this version."""
    raw = json.loads(line)
    name = raw.pop("type", None) if isinstance(raw, dict) else None
    if not isinstance(name, str) or name not in _TYPES:
        raise ValueError(f"expected one of the types {', '.join(_TYPES)}")
    kind = _TYPES[name]
    wanted = {f.name for f in fields(kind)}
    if wanted != raw.keys():
        odd = ", ".join(sorted(wanted ^ raw.keys()))
        raise ValueError(f"missing or unknown fields: {odd}")
    return kind(**{name: _parse_value(name, value) for name, value in raw.items()})


def _parse_value(name: str, value: Any) -> Any:
    if name in _TIMES:
        if not isinstance(value, str):
            raise ValueError(f"{name} is no time")
        return datetime.fromisoformat(value)
    if name not in ("inputs", "input_ids"):
        return value
    wanted = dict if name == "inputs" else str
    if not isinstance(value, list) or not all(isinstance(item, wanted) for item in value):
        raise ValueError(f"{name} is no list of what it should hold")
    return tuple(_parse_input(v) for v in value) if name == "inputs" else tuple(value)


def _parse_input(raw: Mapping[str, Any]) -> CommittedInput:
    try:
        return CommittedInput(**raw)
    except TypeError as error:
        raise ValueError(f"not an input of a commit: {error}") from error


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
