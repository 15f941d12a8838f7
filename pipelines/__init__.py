"""Flow files to fragments: sources, pure kernels, and the Beam pipeline that joins them."""

import hashlib
import os
from pathlib import Path

import platformdirs


def _kernel_cache() -> str:
    """Where machine code is kept: in the user's cache, as an install may be read-only.

    One folder for each state of the sources: numba notices a change in a function's own file,
    not in a function of another file that was compiled into it. And one for each installation,
    for numba keeps the kernels of each apart.
    """
    kernels = Path(__file__).parent / "kernels"
    digest = hashlib.sha256(os.fsencode(kernels))
    for source in sorted(kernels.rglob("*.py")):
        digest.update(source.read_bytes())
    return str(Path(platformdirs.user_cache_dir("v6share"), "kernels", digest.hexdigest()[:16]))


# Numba reads the variable when it is imported.
os.environ.setdefault("NUMBA_CACHE_DIR", _kernel_cache())


def kernels_can_be_kept() -> bool:
    """Whether the cache may be written: numba compiles nothing that it cannot keep."""
    folder = Path(os.environ["NUMBA_CACHE_DIR"])
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK)


def kernels_are_cold() -> bool:
    """Whether whoever counts here first compiles the kernels, which takes up to a minute.

    The kernels of ``account`` come last in a batch: where they are kept, all others are.
    """
    return not any(Path(os.environ["NUMBA_CACHE_DIR"]).glob("*/account.*.nbi"))
