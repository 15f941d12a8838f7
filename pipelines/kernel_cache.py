"""Where the machine code of kernels is kept: in the user's cache, as an install may be read-only.

``NUMBA_CACHE_DIR`` names another folder. Light to import: who only asks loads no compiler.

What is kept there is code, behind an index that is a pickle. A folder that somebody else may write
to is therefore not used: kernels are then compiled for the process alone.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import platformdirs

from v6share.workspace.trust import who_may_change


def kernel_cache() -> Path:
    """The folder of this installation and this state of the sources.

    Numba notices a change in a function's own file, not in a function of another file that was
    compiled into it; and it keeps the kernels of each installation apart.
    """
    named = os.environ.get("NUMBA_CACHE_DIR")
    if named:
        return Path(named)
    kernels = Path(__file__).parent / "kernels"
    digest = hashlib.sha256(os.fsencode(kernels))
    for source in sorted(kernels.rglob("*.py")):
        digest.update(source.read_bytes())
    return Path(platformdirs.user_cache_dir("v6share"), "kernels", digest.hexdigest()[:16])


def why_distrusted() -> str:
    """Why nothing may be read from the folder, in words; empty where nobody else may write to it.

    Where there is none, it is made first, for this user alone: nobody can come before Numba then.
    """
    folder = kernel_cache()
    with suppress(OSError):  # where it cannot be made, ``can_be_kept`` says so
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return who_may_change(folder)


def can_be_kept() -> bool:
    """Whether the folder may be written: Numba compiles nothing that it cannot keep."""
    folder = kernel_cache()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)


def is_cold() -> bool:
    """Whether the next count has to compile the kernels first, which takes up to a minute.

    The kernels of ``account`` come last in a batch: where they are kept, all others are.
    """
    return not any(kernel_cache().glob("*/account.*.nbi"))
