"""A Spark session: the one that is at work already, or one that is started and ended here."""

import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

from v6share.pipelines.engines.spark import cause
from v6share.schemas.errors import EngineFailed, UserError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Spark on one machine tries nothing twice unless the master says how often; a cluster tries 4
# times.
LOCAL_MASTER: Final = "local[*,4]"
_APP_NAME: Final = "v6share"
_JAVA: Final = (
    "It needs Java 17 or newer: install one, and set JAVA_HOME to its folder where it is not the "
    "`java` of the PATH"
)
_OF_A_FAILURE: Final = re.compile("error|exception|no such file|not set", re.IGNORECASE)


@contextmanager
def spark_session(settings: Mapping[str, str], *, shows_log: bool) -> Iterator["SparkSession"]:
    """The session that is active in this process and stays open, or else one for this block.

    settings: of Spark, by name; they come before SPARK_MASTER, that before ``spark-defaults.conf``
    in SPARK_CONF_DIR. Without any master it is ``LOCAL_MASTER``. Workers run this Python unless
    PYSPARK_PYTHON or ``spark.pyspark.python`` names another. shows_log: let Spark's log out on
    stderr.

    Raises UserError where pyspark or Java is missing, where Spark cannot start as it is set up, or
    where settings are given for a session that is there already.
    """
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError as missing:
        raise UserError(
            f"Spark is not installed beside v6share ({missing}): pip install 'v6share[spark]'"
        ) from None
    active = SparkSession.getActiveSession()
    if active is None:
        with _started(settings, shows_log=shows_log) as session:
            yield session
        return
    if settings:
        raise UserError(
            f"found settings of Spark ({', '.join(settings)}), but a session is active already, "
            "with settings of its own; leave them out, or stop the session first"
        )
    yield active


@contextmanager
def _started(settings: Mapping[str, str], *, shows_log: bool) -> Iterator["SparkSession"]:
    from pyspark import SparkContext

    with tempfile.TemporaryFile() as log:
        gateway = _launch(settings, None if shows_log else log)
        try:
            session = _begin(gateway, settings)
            try:
                yield session
            finally:
                session.stop()
        finally:
            # The JVM keeps the settings that it was started with, so the next session in this
            # process gets another one. That of spark-submit is not ours to end.
            if gateway.proc is not None:
                gateway.shutdown()
                gateway.proc.stdin.close()
                gateway.proc.wait()
                SparkContext._gateway = SparkContext._jvm = None


def _launch(settings: Mapping[str, str], log: IO[bytes] | None) -> Any:
    """Start the JVM of a driver; what it says on stderr goes to the log, if there is one."""
    from pyspark import SparkConf
    from pyspark.errors import PySparkRuntimeError
    from pyspark.java_gateway import launch_gateway

    given = SparkConf(loadDefaults=False)
    if "SPARK_MASTER" in os.environ:
        given.setMaster(os.environ["SPARK_MASTER"])
    given.setAll(list(settings.items()))
    # What spark-submit takes for a master that neither it nor the file of defaults was given.
    os.environ.setdefault("MASTER", LOCAL_MASTER)
    try:
        return launch_gateway(given, {} if log is None else {"stderr": log})
    except PySparkRuntimeError as error:
        raise UserError(f"Spark did not start{_what_failed(log)}. {_JAVA}") from error
    except FileNotFoundError as error:
        raise UserError(
            f"Spark did not start: {error.filename} is not there; SPARK_HOME must name a folder of "
            "Spark, or not be set"
        ) from error


def _what_failed(log: IO[bytes] | None) -> str:
    """The first line in which a process said what was wrong, before it ended."""
    if log is None:
        return ""
    log.seek(0)
    lines = log.read().decode(errors="replace").split("\n")
    return next((f": {line.strip()}" for line in lines if _OF_A_FAILURE.search(line)), "")


def _begin(gateway: Any, settings: Mapping[str, str]) -> "SparkSession":
    """Start the driver."""
    from py4j.protocol import Py4JError
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    conf = SparkConf(_jvm=gateway.jvm)
    conf.setIfMissing("spark.app.name", _APP_NAME)
    # Again: a JVM that was there before, as under spark-submit, was started without them.
    conf.setAll(list(settings.items()))
    python = conf.get("spark.pyspark.python", sys.executable)
    os.environ.setdefault("PYSPARK_PYTHON", python or sys.executable)
    try:
        with _own_interrupts():
            return SparkSession(SparkContext(conf=conf, gateway=gateway))
    except (Py4JError, PySparkException) as error:
        # Its text is asked of the JVM, which is gone later, so the error itself is not handed on.
        master = conf.get("spark.master")
        raise EngineFailed(f"Spark ({master}) did not start: {cause(str(error))}") from None


@contextmanager
def _own_interrupts() -> Iterator[None]:
    """Keep this process's answer to Ctrl-C: Spark puts another one in its place."""
    own = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, own)
