"""How every kernel is compiled: once per machine, cached, with the GIL released.

Where somebody else may write to the cache, each process compiles its own kernels.
"""

from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar, cast

import numba

from v6share.pipelines.kernel_cache import kernel_cache, why_distrusted

P = ParamSpec("P")
R = TypeVar("R")

# Read at each function that is compiled, so it must be set before the first one is.
numba.config.CACHE_DIR = str(kernel_cache())  # type: ignore[attr-defined]  # made at run time
_KEPT: Final = not why_distrusted()


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of arrays and integers to machine code.

    Integers wrap as in NumPy, so a kernel must say why its sums cannot; a kernel must not
    allocate per row.
    """
    return cast(
        "Callable[P, R]", numba.njit(cache=_KEPT, nogil=True, error_model="numpy")(function)
    )
