"""A folder is trusted where nobody but its user and root can change what is read from it."""

import os
from pathlib import Path

import pytest

from v6share.workspace.trust import who_may_change

SOMEBODY = 54_321


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    folder = tmp_path / "above" / "cache"
    (folder / "kernels").mkdir(parents=True)
    (folder / "kernels" / "one.nbi").touch()
    return folder


def test_a_folder_of_ones_own_is_trusted(cache: Path) -> None:
    assert who_may_change(cache) == ""
    assert who_may_change(cache / "not" / "there") == ""


@pytest.mark.parametrize("place", ["..", ".", "kernels", "kernels/one.nbi"])
def test_what_others_may_write_to_is_not(cache: Path, place: str) -> None:
    loose = (cache / place).resolve()
    loose.chmod(0o777)
    assert who_may_change(cache) == f"{loose} has the mode 0777, so others may write to it"


def test_only_a_folder_above_may_be_sticky(cache: Path) -> None:
    cache.parent.chmod(0o1777)
    assert who_may_change(cache) == ""
    cache.chmod(0o1777)
    assert f"{cache} has the mode 1777" in who_may_change(cache)


def test_a_link_in_a_folder_of_others_is_not_trusted(cache: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    link = shared / "link"
    link.symlink_to(cache)
    assert who_may_change(link) == ""
    shared.chmod(0o777)
    assert f"{shared} has the mode 0777" in who_may_change(link)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("place", ["..", ".", "kernels", "kernels/one.nbi"])
def test_what_belongs_to_somebody_else_is_not(cache: Path, place: str) -> None:
    given = (cache / place).resolve()
    os.chown(given, SOMEBODY, -1)
    assert who_may_change(cache) == f"{given} belongs to user {SOMEBODY}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another group")
def test_a_group_may_write_only_where_it_is_that_of_the_user_alone(cache: Path) -> None:
    cache.chmod(0o775)
    assert who_may_change(cache) == ""
    os.chown(cache, -1, SOMEBODY)
    assert f"{cache} has the mode 0775" in who_may_change(cache)
