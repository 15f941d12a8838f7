"""Texts that rows have by number, such as the apps of the catalog, as columns of Arrow."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


class Names:
    """Numbered texts, ready to be put into rows; two numbers may have the same text."""

    def __init__(self, texts: Sequence[str]) -> None:
        ascending = sorted(set(texts))
        position = {text: i for i, text in enumerate(ascending)}
        self._ascending = pa.array(ascending, pa.string())
        self._position = np.array([position[text] for text in texts], np.int32)

    def of(self, numbers: NDArray[np.integer]) -> pa.Array:
        """The texts of some numbers, as a dictionary that ascends and has no text twice."""
        return pa.DictionaryArray.from_arrays(self._position[numbers], self._ascending)
