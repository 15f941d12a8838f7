"""Where the inputs of a command are counted, as ``--runner`` and its settings say."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, cast, get_args

from v6share.schemas.errors import UserError

RunnerName = Literal["local", "spark"]

_SETTING: Final = re.compile(r"(spark\.[^=\s]+)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Runner:
    """A runner. spark_conf: settings of Spark, by name; empty for any other runner."""

    name: RunnerName
    spark_conf: Mapping[str, str] = field(default_factory=dict)


LOCAL: Final = Runner("local")


def parse_runner(name: str, spark_conf: Sequence[str]) -> Runner:
    """The runner of that name. spark_conf: each ``NAME=VALUE``, of equal names the last one counts.

    Raises UserError.
    """
    names = get_args(RunnerName)
    if name not in names:
        raise UserError(f'--runner: found "{name}", expected {" or ".join(names)}')
    if spark_conf and name != "spark":
        raise UserError("--spark-conf: found without --runner spark, which alone reads it")
    return Runner(cast("RunnerName", name), dict(map(_parse_setting, spark_conf)))


def _parse_setting(text: str) -> tuple[str, str]:
    found = _SETTING.fullmatch(text)
    if found is None:
        raise UserError(
            f'--spark-conf: found "{text}", expected NAME=VALUE with a name of Spark, such as '
            "spark.executor.memory=4g"
        )
    return found[1], found[2]
