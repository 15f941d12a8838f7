"""A small cluster of Spark's own kind: a master and two workers that take each other for machines.

Each worker has an address of its own, all of which lead back to this machine: Spark starts a task
a second time, while the first attempt is at work, on another machine only.
"""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark

_PATIENCE_SECONDS = 300
_MASTER = "127.0.0.1"


@contextmanager
def two_machines(folder: Path) -> Iterator[str]:
    """The URL of the master. Each worker has one core; they write their files into ``folder``."""
    with socket.socket() as taken:
        taken.bind((_MASTER, 0))
        port = taken.getsockname()[1]
    url = f"spark://{_MASTER}:{port}"
    started = [_start("master.Master", _MASTER, "--port", str(port), folder=folder)]
    try:
        _wait_for(port)
        for host in ("127.0.0.2", "127.0.0.3"):
            limits = ("--cores", "1", "--memory", "1g", "--work-dir", str(folder / host))
            started.append(_start("worker.Worker", host, *limits, url, folder=folder))
        yield url
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


def _start(name: str, host: str, *arguments: str, folder: Path) -> subprocess.Popen[bytes]:
    program = Path(pyspark.__file__).parent / "bin" / "spark-class"
    words = (f"org.apache.spark.deploy.{name}", "--host", host, "--webui-port", "0", *arguments)
    with (folder / f"{host}.log").open("wb") as log:
        return subprocess.Popen(
            [program, *words],
            stdout=log,
            stderr=log,
            env={**os.environ, "SPARK_LOCAL_IP": host},
        )


def _wait_for(port: int) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            socket.create_connection((_MASTER, port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < until, "the master did not start"
            time.sleep(0.1)
        else:
            return
