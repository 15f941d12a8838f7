"""The storage seam: how state is looked at, read, written, removed. Nothing else touches its files.

What is written here is whole and durable or not there at all, whatever crashes: it is made as a
draft beside its place, made durable, and renamed. Whoever reads never meets a draft. A store of
another kind, such as an object store, is to offer these same functions; the lock (``lock``) is
the other half of the seam. Flow files are not state: ``pipelines`` reads them where they lie.

Decided against: temporary files elsewhere (a rename works within one file system only).
"""

import errno
import fcntl
import math
import os
import secrets
import shutil
import signal
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

_DRAFT: Final = ".draft"
_READABLE: Final = 0o644
_PRIVATE_FOLDER: Final = 0o700
_SECOND_NS: Final = 1_000_000_000
# Of a copy. Larger ones take longer: what is read leaves the cache of the processor before it is
# written.
_PIECE_BYTES: Final = 64 << 10
# Descriptors of files that a database has locked, by device and inode: see ``copy_held``.
_held: Final[dict[tuple[int, int], int]] = {}


class Status(NamedTuple):
    """What shows that a file is still the same one. size: bytes; mtime_ns: since 1970, UTC."""

    size: int
    mtime_ns: int
    inode: int
    mode: int


# Looking and reading


def status(path: Path) -> Status | None:
    """The status of a file; None where there is none. Raises OSError where nobody can tell."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Status(found.st_size, found.st_mtime_ns, found.st_ino, found.st_mode)


def size(path: Path) -> int:
    """The bytes of a file that must be there. Raises FileNotFoundError."""
    found = status(path)
    if found is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return found.size


def exists(path: Path) -> bool:
    """Whether a file or a folder is there."""
    return status(path) is not None


def is_file(path: Path) -> bool:
    """Whether a file is there, and no folder."""
    found = status(path)
    return found is not None and stat.S_ISREG(found.mode)


def may_write(folder: Path) -> bool:
    """Whether this user may make files in a folder."""
    return os.access(folder, os.W_OK)


def list_files(folder: Path, suffix: str = "") -> list[Path]:
    """The files of a folder whose names end so, by name; none where there is no folder.

    Drafts are not listed. Raises OSError where the folder cannot be read: it must not look empty.
    """
    try:
        found = list(folder.iterdir())
    except FileNotFoundError:
        return []
    named = [path for path in found if path.name.endswith(suffix) and not _is_draft(path)]
    return sorted(path for path in named if path.is_file())


def list_folders(folder: Path) -> list[Path]:
    """The folders in a folder, by name; none where there is no folder. Raises OSError."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except FileNotFoundError:
        return []


def read(path: Path) -> bytes:
    """The bytes of a file. Raises FileNotFoundError and other OSErrors."""
    return path.read_bytes()


def open_file(path: Path) -> BufferedReader:
    """A file to read from any place. Raises FileNotFoundError and other OSErrors."""
    return path.open("rb")


# Writing


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, durably. Raises FileExistsError where there is a file."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        _sync_folder(path.parent)


def make_private(folder: Path) -> None:
    """Make a folder that its owner alone may enter; one that is there becomes so, if it is ours.

    Else any user of the machine could hold a lock in it for ever, or read what is private.
    """
    make_folder(folder.parent)
    folder.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
    found = folder.stat()
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(_PRIVATE_FOLDER)
    _sync_folder(folder.parent)


def write(path: Path, data: bytes) -> None:
    """Put a file in a place, whole and durable, instead of the one that may be there."""
    with drafted(path) as draft:
        draft.write_bytes(data)


def create(path: Path, data: bytes, mode: int = _READABLE) -> bool:
    """Put a file in a place at which none is; False where there is one, which stays.

    A link never replaces a file that another process has just made. Where the file system knows
    no links (vfat, some network ones) a rename has to do.
    """
    make_folder(path.parent)
    draft = _draft_of(path)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return False
        except OSError:
            if path.exists():
                return False
            draft.replace(path)
        _sync_folder(path.parent)
    finally:
        draft.unlink(missing_ok=True)
    return True


@contextmanager
def drafted(path: Path) -> Iterator[Path]:
    """A draft, which takes its place when the block ends, whole and durable.

    The block writes a file at the path that it gets, such as a database; it may leave a log
    beside it (``.wal``), which is removed. An error in the block leaves the old file as it was.
    """
    make_folder(path.parent)
    draft = _draft_of(path)
    try:
        yield draft
        sync(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
        _log_of(draft).unlink(missing_ok=True)
    _sync_folder(path.parent)


@contextmanager
def replacing(path: Path, data: bytes, mode: int) -> Iterator[None]:
    """Put a file in place when the block ends, instead of the one that may be there.

    It is on disk before the block begins. An error in the block leaves the old file as it was.
    """
    with drafted(path) as draft:
        create(draft, data, mode)
        yield


@contextmanager
def drafted_in_turn(path: Path, spare: Path, *, from_spare: bool) -> Iterator[Path]:
    """As ``drafted``; the file that is replaced is kept as the spare, instead of the one before.

    from_spare: the draft is the spare itself, to be changed in its place; it is gone where that
    fails. Change it only where ``nobody_has`` the draft. Where the file system knows no links
    there is no spare afterwards.
    """
    with drafted(path) as draft:
        if from_spare:
            spare.replace(draft)
        yield draft
        spare.unlink(missing_ok=True)
        with suppress(OSError):
            spare.hardlink_to(path)


def nobody_has(path: Path) -> bool:
    """Whether a file has one name, and no process has it open, so that it may be changed in place.

    A reader that opened it before it was replaced reads it still, with a lock or without one; who
    gave it a second name relies on it. Where the system cannot tell, the answer is False.
    """
    lease, signal_of = getattr(fcntl, "F_SETLEASE", None), getattr(fcntl, "F_SETSIG", None)
    if lease is None or signal_of is None:
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        if os.fstat(descriptor).st_nlink != 1:
            return False
        # The kernel gives a lease to write only where nobody else has the file open. It is given
        # back at once; who opened the file meanwhile would have this signal sent, which is ignored.
        fcntl.fcntl(descriptor, signal_of, signal.SIGURG)
        fcntl.fcntl(descriptor, lease, fcntl.F_WRLCK)
        fcntl.fcntl(descriptor, lease, fcntl.F_UNLCK)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes its place when the block ends, whole and durable.

    As ``drafted``, for what is written as a stream.
    """
    with drafted(path) as draft, draft.open("wb") as file:
        yield file


def append(path: Path, data: bytes, at: int) -> int:
    """Write at a place of a file, durably, and let it end there; give the end.

    at: what stands behind it is cut off. Where the write fails, the file ends at ``at``.
    """
    created = not path.exists()
    make_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _READABLE)
    try:
        os.ftruncate(descriptor, at)
        try:
            written = os.pwrite(descriptor, data, at)
            if written < len(data):
                raise OSError(f"{path}: only {written} of {len(data)} bytes were written")
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, at)
            raise
    finally:
        os.close(descriptor)
    if created:
        _sync_folder(path.parent)
    return at + len(data)


def copy(source: Path, target: Path) -> None:
    """Copy a file to a draft. Not one that a database in this process has open: ``copy_held``."""
    shutil.copyfile(source, target)


def copy_held(source: Path, target: Path) -> None:
    """Copy a file that a database in this process has locked.

    To close any descriptor of a file gives up all locks (POSIX) that this process has on it, the
    database's too. So one descriptor of each such file is kept until ``release_held``. What is
    copied goes to the disk meanwhile: a large copy would be waited for twice, for memory first.
    """
    found = source.stat()
    file = (found.st_dev, found.st_ino)
    if file not in _held:
        _held[file] = os.open(source, os.O_RDONLY)
    with (
        open(_held[file], "rb", closefd=False) as whole,
        target.open("wb") as copy,
        ThreadPoolExecutor(1, thread_name_prefix="v6share-copy") as thread,
    ):
        whole.seek(0)
        on_its_way = thread.submit(os.fsync, copy.fileno())
        while piece := whole.read(_PIECE_BYTES):
            copy.write(piece)
            if on_its_way.done():
                on_its_way.result()
                on_its_way = thread.submit(os.fsync, copy.fileno())
        on_its_way.result()


def release_held() -> None:
    """Close what ``copy_held`` keeps open. No database of this process may be open then."""
    while _held:
        os.close(_held.popitem()[1])


def sync(path: Path) -> None:
    """Make the bytes of a file durable."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


# Removing


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    path.unlink(missing_ok=True)


def remove_folder(path: Path) -> None:
    """Remove a folder and what is in it, as far as that goes."""
    shutil.rmtree(path, ignore_errors=True)


def remove_log(path: Path) -> None:
    """Remove the log of a database: it would not fit another file that takes its place."""
    _log_of(path).unlink(missing_ok=True)


def remove_drafts(folder: Path, pattern: str = "", least_age_seconds: float = -math.inf) -> None:
    """Remove the drafts in a folder that killed processes left, all or those of some age.

    pattern: of folders below it, such as ``*/``. least_age_seconds: since the last write. Give it
    where others may be writing: a draft that is removed under its writer fails that write. Without
    it, hold the workspace, and clear only folders in which nobody writes who does not hold it.
    """
    newest = time.time() - least_age_seconds
    for draft in folder.glob(f"{pattern}.*{_DRAFT}*"):
        found = status(draft)
        if found is not None and found.mtime_ns / _SECOND_NS <= newest:
            draft.unlink(missing_ok=True)


def _draft_of(path: Path) -> Path:
    # Not by the process number: in a container that is the same for a run that was killed here.
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}{_DRAFT}")


def _is_draft(path: Path) -> bool:
    return path.name.startswith(".") and _DRAFT in path.name


def _log_of(database: Path) -> Path:
    return database.with_name(f"{database.name}.wal")


def _sync_folder(path: Path) -> None:
    """Make created, renamed and removed names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
