"""The gate of a run whose numbers were counted in Spark: the same suites, judged in its session.

A session lives in one process, so Great Expectations is loaded in this one.
"""

import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from v6share.quality.gate import ANSWER_SECONDS, GateFailed
from v6share.quality.messages import Verdict
from v6share.quality.suites import Suite
from v6share.schemas.evidence import Evidence

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def validate_in_spark(
    session: "SparkSession",
    suites: Mapping[str, Suite],
    evidence: Mapping[str, Evidence],
    docs: Path | None = None,
    python: Sequence[Path] = (),
) -> list[Verdict]:
    """What became of each expectation, as ``Gate.validate``. Raises GateFailed.

    python: files that define more expectations, which it runs.
    """

    def judged() -> list[Verdict]:
        with warnings.catch_warnings():
            # Of versions of pandas, which is not used here.
            warnings.simplefilter("ignore")
            from v6share.quality.judge import Judge, load_expectations  # here: slow to load

        for file in python:
            load_expectations(file)
        asked = {name: suites[name].model_dump()["expectations"] for name in evidence}
        return Judge(session).validate(asked, evidence, docs)

    # In a thread: Spark has no time limit of its own, and where a package is missing that it wants,
    # pyspark ends the process with code 0 when it is loaded.
    thread = ThreadPoolExecutor(1, thread_name_prefix="v6share-gate")
    try:
        return thread.submit(judged).result(ANSWER_SECONDS)
    except TimeoutError:
        raise GateFailed(f"Spark did not answer within {ANSWER_SECONDS:.0f} s") from None
    except (Exception, SystemExit) as error:
        first = str(error).strip().split("\n", maxsplit=1)[0]
        raise GateFailed(f"it failed in Spark: {type(error).__name__}: {first}") from error
    finally:
        thread.shutdown(wait=False, cancel_futures=True)
