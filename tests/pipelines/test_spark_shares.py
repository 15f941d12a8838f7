"""What the Spark runner decides without Spark: who counts what, and which line says why not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from v6share.pipelines.engines.spark import cause, count_in_spark, share_out
from v6share.pipelines.work import Work
from v6share.schemas.outcome import FoundInput
from v6share.schemas.settings import Settings
from v6share.workspace.paths import Workspace

inputs = st.lists(st.integers(0, 10**9), max_size=40).map(
    lambda sizes: [FoundInput(f"/flows/{n}.parquet", size, 0) for n, size in enumerate(sizes)]
)


@given(inputs, st.integers(1, 12))
def test_shares_hold_every_input_once_and_none_is_empty(found: list[FoundInput], most: int) -> None:
    shares = share_out(found, most)
    assert sorted(one for share in shares for one in share) == sorted(found)
    assert len(shares) == min(most, len(found))
    assert all(shares)


@given(inputs, st.integers(1, 12))
def test_shares_differ_by_no_more_than_one_input(found: list[FoundInput], most: int) -> None:
    """Or else that input would have gone to the smaller share."""
    shares = share_out(found, most)
    sizes = [sum(one.size for one in share) for share in shares]
    if sizes:
        assert max(sizes) - min(sizes) <= max(one.size for one in found)


def test_the_largest_inputs_are_begun_first() -> None:
    found = [FoundInput(name, size, 0) for name, size in (("a", 1), ("b", 9), ("c", 5), ("d", 5))]
    assert [[one.path for one in share] for share in share_out(found, 2)] == [
        ["b", "a"],
        ["c", "d"],
    ]


def test_without_inputs_nothing_is_asked_of_spark() -> None:
    work = Work(Workspace(Path("/none")), "run", Settings(), "version", 1)
    assert count_in_spark(None, [], work) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "An error occurred while calling z:PythonRDD.collectAndServe.\n"
            ": org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 failed 4 "
            "times: Python worker exited unexpectedly (crashed).\n"
            "\tat org.apache.spark.api.python.BasePythonRunner.run(PythonRunner.scala:1)\n"
            "Caused by: java.io.EOFException\n\tat java.base/java.io.DataInputStream\n",
            "org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 failed 4 "
            "times: Python worker exited unexpectedly (crashed)",
        ),
        (
            "org.apache.spark.api.python.PythonException: Traceback (most recent call last):\n"
            '  File "worker.py", line 1, in main\n'
            "ModuleNotFoundError: No module named 'v6share'\n\n"
            "\tat org.apache.spark.api.python.BasePythonRunner.handle(PythonRunner.scala:1)\n",
            "ModuleNotFoundError: No module named 'v6share'",
        ),
        ("", "no reason given"),
    ],
)
def test_the_line_that_says_why(text: str, line: str) -> None:
    assert cause(text) == line
