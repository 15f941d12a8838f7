"""``v6share run --runner spark``, as a user calls it, in processes of its own."""

import base64
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster import two_machines
from java_home import packaged_java
from spark_runs import SAMPLE, event_log, events, logging_events, spark_options
from workers import below, is_there, stop_one_that_counts, wait_until_gone
from workspaces import (
    CLIENT_KEY,
    command,
    differing,
    fragments,
    make_workspace,
    run_json,
    tables,
    v6share,
)

from v6share.jobs.terminal.exit_codes import ExitCode

COUNTED_HERE = Callable[[Path], Path]


def assert_equal(root: Path, wanted: Path) -> None:
    assert fragments(root) == fragments(wanted)
    assert differing(tables(root), tables(wanted)) == []


def forms_of_the_key() -> dict[str, bytes]:
    return {
        "raw": CLIENT_KEY,
        "hex": CLIENT_KEY.hex().encode(),
        "HEX": CLIENT_KEY.hex().upper().encode(),
        "base64": base64.b64encode(CLIENT_KEY).rstrip(b"="),
        "base64, for URLs": base64.urlsafe_b64encode(CLIENT_KEY).rstrip(b"="),
        "as Python shows it": repr(CLIENT_KEY)[2:-1].encode(),
    }


def shown_forms(text: bytes) -> list[str]:
    return [name for name, form in forms_of_the_key().items() if form.lower() in text.lower()]


def test_the_sample_gives_the_same_and_the_key_shows_nowhere(
    fresh: Path, log_folder: Path, counted_here: COUNTED_HERE
) -> None:
    """With the event log and the driver's log as talkative as they get."""
    options = spark_options("local[2]", "spark.log.level=DEBUG", *logging_events(log_folder))
    code, out, err = v6share(fresh, "-v", "run", SAMPLE / "flows", *options, "--format", "json")
    assert code == ExitCode.DONE, err[-3000:]
    assert json.loads(out)["run"]["inputs_committed"] == 51
    assert_equal(fresh, counted_here(SAMPLE / "flows"))
    # The logs are really those of this job: its stage, and the driver's account of it.
    assert any(True for _ in events(log_folder, "SparkListenerTaskEnd"))
    assert "DEBUG" in err
    assert "Submitting" in err
    assert shown_forms("\n".join(event_log(log_folder)).encode()) == []
    assert shown_forms(err.encode()) == []


def test_a_key_that_shows_would_be_found() -> None:
    for name, form in forms_of_the_key().items():
        assert name in shown_forms(b"some " + form + b" text")


def test_nothing_of_sparks_own_chatter_is_said(
    fresh: Path, few_flows: Path, counted_here: COUNTED_HERE, tmp_path: Path
) -> None:
    """What is said is what a run without Spark says, but for the line that names it."""
    code, _, err = v6share(fresh, "run", few_flows, *spark_options("local[2]"))
    assert code == ExitCode.DONE
    here = make_workspace(tmp_path / "here" / "ws", SAMPLE / "catalog")
    wanted = v6share(here, "run", few_flows)[2].replace(str(here), str(fresh)).splitlines()
    assert "counting 3 inputs" in wanted
    wanted[wanted.index("counting 3 inputs")] = "counting 3 inputs in Spark (local[2])"
    assert err.splitlines() == wanted


def test_java_from_the_package(
    fresh: Path, few_flows: Path, tmp_path: Path, counted_here: COUNTED_HERE
) -> None:
    home = packaged_java(tmp_path / "java")
    options = spark_options("local[2]")
    code, _, err = v6share(fresh, "run", few_flows, *options, env={"JAVA_HOME": str(home)})
    assert code == ExitCode.DONE, err
    assert fragments(fresh).items() <= fragments(counted_here(SAMPLE / "flows")).items()
    assert len(fragments(fresh)) == 3


@pytest.fixture
def at_work() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Begin a run, of which nothing is left when the test ends."""
    begun: list[subprocess.Popen[str]] = []

    def begin(root: Path, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command(root, *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process

    yield begin
    for process in begun:
        for one in {process.pid, *below(process.pid)}:
            if is_there(one):
                os.kill(one, signal.SIGKILL)
        process.communicate()


def test_a_worker_that_is_killed_while_it_counts(
    at_work: Callable[..., subprocess.Popen[str]],
    fresh: Path,
    slow_flows: Path,
    log_folder: Path,
    counted_here: COUNTED_HERE,
) -> None:
    options = spark_options("local[2,4]", *logging_events(log_folder))
    process = at_work(fresh, "run", slow_flows, *options)
    os.kill(stop_one_that_counts(process.pid, slow_flows), signal.SIGKILL)
    _, err = process.communicate(timeout=500)
    assert process.returncode == ExitCode.DONE, err
    ends = events(log_folder, "SparkListenerTaskEnd")
    assert [end for end in ends if end["Task Info"]["Failed"]]
    assert_equal(fresh, counted_here(slow_flows))


def test_a_share_that_a_second_worker_takes_over_and_the_first_one_wakes_up(
    at_work: Callable[..., subprocess.Popen[str]],
    fresh: Path,
    slow_flows: Path,
    log_folder: Path,
    counted_here: COUNTED_HERE,
    tmp_path: Path,
) -> None:
    """Speculative execution: of two workers with the same share, one is stopped meanwhile."""
    speculation = (
        "spark.speculation=true",
        "spark.speculation.interval=100ms",
        "spark.speculation.quantile=0.1",
    )
    with two_machines(tmp_path) as master:
        options = spark_options(master, *speculation, *logging_events(log_folder))
        process = at_work(fresh, "run", slow_flows, *options)
        stopped = stop_one_that_counts(os.getpid(), slow_flows)
        _, err = process.communicate(timeout=500)
    assert process.returncode == ExitCode.DONE, err
    started = events(log_folder, "SparkListenerTaskStart")
    assert [start for start in started if start["Task Info"]["Speculative"]]
    if is_there(stopped):  # else Spark has ended it
        os.kill(stopped, signal.SIGCONT)
    assert wait_until_gone({stopped}) == set()
    assert_equal(fresh, counted_here(slow_flows))
    assert v6share(fresh, "check")[0] == ExitCode.DONE


def test_an_interrupt_ends_spark_too(
    at_work: Callable[..., subprocess.Popen[str]],
    fresh: Path,
    slow_flows: Path,
    counted_here: COUNTED_HERE,
) -> None:
    process = at_work(fresh, "run", slow_flows, *spark_options("local[2]"))
    counting = stop_one_that_counts(process.pid, slow_flows)
    started = below(process.pid)
    os.kill(counting, signal.SIGCONT)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (ExitCode.INTERRUPTED, "")
    assert err.splitlines()[-1].startswith("error: interrupted; nothing is half done")
    assert err.count("rror") == 1
    assert wait_until_gone(started) == set()
    assert run_json(fresh, slow_flows)[0] == ExitCode.DONE
    assert_equal(fresh, counted_here(slow_flows))


@pytest.mark.parametrize(
    ("environment", "code", "words"),
    [
        ({"JAVA_HOME": "/no/java"}, ExitCode.USAGE, "It needs Java 17 or newer"),
        ({"SPARK_HOME": "/no/spark"}, ExitCode.USAGE, "SPARK_HOME must name a folder of Spark"),
        ({"SPARK_MASTER": "mesos"}, ExitCode.USAGE, "Master must either be yarn or start with"),
        ({"SPARK_MASTER": "sparkle"}, ExitCode.INTERNAL, "Could not parse Master URL"),
        ({"PYSPARK_PYTHON": "/no/python"}, ExitCode.INTERNAL, '"/no/python"'),
    ],
)
def test_what_keeps_spark_from_working_is_said_in_a_line(
    fresh: Path, few_flows: Path, environment: dict[str, str], code: ExitCode, words: str
) -> None:
    found, out, err = v6share(fresh, "-q", "run", few_flows, "--runner", "spark", env=environment)
    assert (found, out) == (code, "")
    (line,) = err.splitlines()
    assert line.startswith("error: Spark")
    assert words in line
    assert fragments(fresh) == {}


def test_the_master_of_the_command_line_comes_before_the_environment_and_that_before_the_file(
    fresh: Path, few_flows: Path, tmp_path: Path
) -> None:
    (tmp_path / "spark-defaults.conf").write_text("spark.master local[3]\nspark.ui.enabled false\n")
    files = sorted(few_flows.iterdir())
    file = {"SPARK_CONF_DIR": str(tmp_path)}
    environment = {"SPARK_MASTER": "local[2]", **file}
    given = ["--spark-conf", "spark.master=local[1]"]
    for flows, options, variables, master in (
        (files[0], [], file, "local[3]"),
        (files[1], [], environment, "local[2]"),
        (files[2], given, environment, "local[1]"),
    ):
        code, _, err = v6share(fresh, "run", flows, "--runner", "spark", *options, env=variables)
        assert code == ExitCode.DONE, err
        assert f"in Spark ({master})\n" in err
