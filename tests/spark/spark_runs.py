"""Options of a run in Spark, and what its event log tells."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).parents[2] / "data" / "sample"


def spark_options(master: str, *settings: str) -> list[str]:
    """``--runner spark`` on that master, without a web page."""
    all_settings = (f"spark.master={master}", "spark.ui.enabled=false", *settings)
    return ["--runner", "spark", *(word for one in all_settings for word in ("--spark-conf", one))]


def logging_events(folder: Path) -> list[str]:
    """The settings for a readable event log in a folder."""
    return [
        "spark.eventLog.enabled=true",
        f"spark.eventLog.dir=file://{folder}",
        "spark.eventLog.compress=false",
    ]


def event_log(folder: Path) -> list[str]:
    """The lines of all event logs in a folder; there are some."""
    logs = [path for path in folder.rglob("*") if path.is_file() and "status" not in path.name]
    lines = [line for path in logs for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines
    return lines


def events(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """The events of that name."""
    for line in event_log(folder):
        event = json.loads(line)
        if event["Event"] == name:
            yield event
