"""The script in ``examples/spark``, run as its page says."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from workspaces import differing, fragments, tables

SCRIPT = Path(__file__).parents[2] / "examples" / "spark" / "count_in_session.py"
# What an application gets from whoever submits it.
START = """
import runpy, sys
from pyspark.sql import SparkSession
SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def call(root: Path, flows: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", START, SCRIPT, root, flows],
        capture_output=True,
        text=True,
        env={**os.environ, "PYSPARK_PYTHON": sys.executable},
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_example_counts_commits_and_publishes(
    fresh: Path, few_flows: Path, counted_here: Callable[[Path], Path]
) -> None:
    *files, last = call(fresh, few_flows)
    assert [line.split()[0] for line in files] == ["fragment"] * 3
    assert [line.split()[-1] for line in files] == [str(p) for p in sorted(few_flows.iterdir())]
    assert last == "{'fragment': 3}"
    assert fragments(fresh) == fragments(counted_here(few_flows))
    assert differing(tables(fresh), tables(counted_here(few_flows))) == []
    assert call(fresh, few_flows) == ["{'none': 1}"]
