"""The examples, as far as they can be tried without what they are for."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "examples" / "spark" / "count_in_session.py"


@pytest.mark.skipif(importlib.util.find_spec("pyspark") is not None, reason="Spark is there")
def test_without_spark_the_example_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "mynet", "flows/"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == "error: Spark is not installed here: pip install 'v6share[spark]'\n"
