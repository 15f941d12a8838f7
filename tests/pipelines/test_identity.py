"""An input's identity is the SHA-256 of its bytes, whether it was begun ahead or not."""

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from v6share.pipelines.identity import Identities
from v6share.schemas.outcome import FoundInput


def found_at(path: Path, data: bytes) -> FoundInput:
    path.write_bytes(data)
    return FoundInput(str(path), len(data), 1)


@pytest.mark.parametrize("size", [0, 1, (4 << 20) - 1, 4 << 20, (4 << 20) + 1])
def test_alone_and_ahead_agree(tmp_path: Path, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    one = found_at(tmp_path / "one", data)
    expected = hashlib.sha256(data).hexdigest()
    identities = Identities()
    assert identities.of(one).input_id == expected
    with ThreadPoolExecutor(1) as thread:
        identities.hash_early([one], thread)
    assert identities.of(one).input_id == expected


def test_what_was_not_begun_in_time_is_done_at_once(tmp_path: Path) -> None:
    one = found_at(tmp_path / "one", b"flows")
    identities, free = Identities(), Event()
    with ThreadPoolExecutor(1) as thread:
        thread.submit(free.wait)
        identities.hash_early([one], thread)
        assert identities.of(one).input_id == hashlib.sha256(b"flows").hexdigest()
        free.set()


def test_a_file_that_is_gone_is_an_error_of_the_system(tmp_path: Path) -> None:
    one = FoundInput(str(tmp_path / "gone"), 1, 1)
    identities = Identities()
    with ThreadPoolExecutor(1) as thread:
        identities.hash_early([one], thread)
    with pytest.raises(FileNotFoundError):
        identities.of(one)


def test_a_change_shows_even_where_size_and_time_are_as_they_were(tmp_path: Path) -> None:
    """In place, and by another file in its place."""
    path = tmp_path / "one"
    path.write_bytes(b"flows")
    status = path.stat()
    one = FoundInput(str(path), status.st_size, status.st_mtime_ns)
    identity = Identities().of(one)
    assert identity.is_still_that_of(one)
    times = (status.st_atime_ns, status.st_mtime_ns)
    time.sleep(0.01)
    path.write_bytes(b"FLOWS")
    os.utime(path, ns=times)
    assert not identity.is_still_that_of(one)
    identity = Identities().of(one)
    other = tmp_path / "other"
    other.write_bytes(b"flowz")
    os.utime(other, ns=times)
    other.rename(path)
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (one.size, one.mtime_ns)
    assert not identity.is_still_that_of(one)
    path.unlink()
    assert not identity.is_still_that_of(one)
