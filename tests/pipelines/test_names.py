"""Texts by number, in rows."""

import numpy as np

from v6share.pipelines.kernels.names import Names


def test_two_numbers_of_one_text_are_equal_in_rows() -> None:
    found = Names(["z", "a", "é", "a"]).of(np.array([3, 0, 1, 2]))
    assert found.to_pylist() == ["a", "z", "a", "é"]
    assert found.dictionary.to_pylist() == ["a", "z", "é"]
    assert found.indices.to_pylist() == [0, 1, 0, 2]


def test_no_texts_and_no_rows() -> None:
    assert Names([]).of(np.array([], np.int64)).to_pylist() == []
