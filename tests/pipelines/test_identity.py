"""An input's identity is the SHA-256 of its bytes, whether it was begun ahead or not."""

import hashlib
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
    assert identities.of(one) == expected
    with ThreadPoolExecutor(1) as thread:
        identities.hash_early([one], thread)
    assert identities.of(one) == expected


def test_what_was_not_begun_in_time_is_done_at_once(tmp_path: Path) -> None:
    one = found_at(tmp_path / "one", b"flows")
    identities, free = Identities(), Event()
    with ThreadPoolExecutor(1) as thread:
        thread.submit(free.wait)
        identities.hash_early([one], thread)
        assert identities.of(one) == hashlib.sha256(b"flows").hexdigest()
        free.set()


def test_a_file_that_is_gone_is_an_error_of_the_system(tmp_path: Path) -> None:
    one = FoundInput(str(tmp_path / "gone"), 1, 1)
    identities = Identities()
    with ThreadPoolExecutor(1) as thread:
        identities.hash_early([one], thread)
    with pytest.raises(FileNotFoundError):
        identities.of(one)
