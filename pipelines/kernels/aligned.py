"""Arrays that begin with a cache line: rows and nodes that fit into one then touch no second."""

from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LINE_BYTES: Final = 64


def zeros_in_lines(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Zeros of a shape, aligned to 64 bytes."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + _LINE_BYTES, np.uint8)
    skipped = -raw.ctypes.data % _LINE_BYTES
    return raw[skipped : skipped + size].view(dtype).reshape(shape)
