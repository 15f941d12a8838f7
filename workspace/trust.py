"""Whether a folder can be changed by nobody but this user and root.

What is read from a cache is believed, or even run as code: the index of compiled kernels is a
pickle. So a folder that somebody else may write to, or put another in place of, is not read.
"""

import grp
import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

_GROUP_OR_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def who_may_change(folder: Path) -> str:
    """Where somebody else may change a folder, in words; empty where nobody may.

    Looked at are the folder, all in it, and the folders above it, links followed and not. What is
    not there is no finding. A folder above may be writable where it is sticky, as ``/tmp`` is:
    nobody can rename there what is not theirs.
    """
    folders = (folder.absolute(), folder.resolve())
    above = {place for one in folders for place in one.parents}
    for place in sorted(above):
        if found := _described(place, may_be_sticky=True):
            return found
    for place in (*folders, *folders[-1].rglob("*")):
        if found := _described(place, may_be_sticky=False):
            return found
    return ""


def _described(place: Path, *, may_be_sticky: bool) -> str:
    try:
        found = place.lstat()
    except FileNotFoundError:
        return ""
    if found.st_uid not in (0, os.geteuid()):
        return f"{place} belongs to {_name_of(found.st_uid)}"
    if stat.S_ISLNK(found.st_mode) or (may_be_sticky and found.st_mode & stat.S_ISVTX):
        return ""
    loose = found.st_mode & _GROUP_OR_OTHERS
    if loose == stat.S_IWGRP and _is_of_one(found.st_gid):
        return ""
    mode = stat.S_IMODE(found.st_mode)
    return f"{place} has the mode {mode:04o}, so others may write to it" if loose else ""


def _is_of_one(group: int) -> bool:
    """Whether a group is that of this user alone, who on many systems lets it write."""
    with suppress(KeyError):  # a user or a group without a name
        user, found = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
        return found.gr_name == user.pw_name and set(found.gr_mem) <= {user.pw_name}
    return False


def _name_of(user: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(user).pw_name
    return f"user {user}"
