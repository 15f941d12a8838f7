"""Spark as the runner: paths of flow files go to Python workers, and outcomes come back.

A worker reads files, catalog and client key where they lie and writes fragments into the workspace,
as a thread of a local run does. So files and workspace must be on file systems that every worker
sees under the same paths, and v6share must be installed there. Rows never pass through Spark.

A worker may die after it has written a fragment, and its share be counted again, also by two
workers at once: the second fragment has the name and the bytes of the first.
"""

import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, Literal

from v6share.pipelines.session import Session
from v6share.pipelines.work import Work
from v6share.schemas.errors import EngineFailed, UserError
from v6share.schemas.outcome import FoundInput, Outcome
from v6share.workspace import storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What a worker sends: the outcome of an input as JSON, or the message of a user's mistake.
Sent = tuple[Literal["outcome", "mistake"], str]

# A few for each core, so that one that has finished takes over from one that is behind, and not
# one for each file, as a share costs time of its own. Where Spark has just started it does not know
# yet how many cores it will get, so there are at least as many as a cluster of 64 can use.
_SHARES_OF_A_CORE: Final = 4
_SHARES_AT_LEAST: Final = 256


def count_in_spark(
    session: "SparkSession", found: Sequence[FoundInput], work: Work
) -> list[Outcome]:
    """Count inputs in the workers of a session, one thread a worker; give the outcomes, by path.

    The session stays open. What travels to workers and may be seen in Spark's logs: paths,
    settings, versions; not the catalog, and not the client key, which must have been made before.
    Outcomes are not committed yet.

    Raises UserError where a worker finds a mistake in the workspace or does not see it, and
    EngineFailed where Spark gives up; fragments that were written by then are used by the next try.
    """
    if not found:
        return []
    # Here: a process that only deals out shares needs no Spark.
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        context = session.sparkContext
        most = max(_SHARES_AT_LEAST, _SHARES_OF_A_CORE * context.defaultParallelism)
        shares = share_out(found, most)
        counted = context.parallelize(shares, len(shares)).mapPartitions(
            partial(_count_shares, replace(work, threads=1))
        )
        sent: list[Sent] = counted.collect()
    except (Py4JError, PySparkException) as error:
        # Its text is asked of the JVM, which may be gone later, so the error is not handed on.
        raise EngineFailed(f"Spark gave up: {cause(str(error))}") from None
    mistakes = sorted({text for kind, text in sent if kind == "mistake"})
    if mistakes:
        raise UserError(mistakes[0])
    return sorted((Outcome.from_json(text) for _, text in sent), key=lambda one: one.path)


def share_out(found: Sequence[FoundInput], most: int) -> list[list[FoundInput]]:
    """Deal inputs out into at most so many shares of nearly equal size; none is empty.

    Large inputs come first, in every share and over all shares: Spark begins them in this order.
    """
    ordered = sorted(found, key=lambda one: one.order_of_work)
    shares: list[list[FoundInput]] = [[] for _ in range(min(most, len(ordered)))]
    sizes = [0] * len(shares)
    for one in ordered:
        # Empty files weigh nothing; the length keeps them from all going to one share.
        least = min(range(len(shares)), key=lambda n: (sizes[n], len(shares[n])))
        shares[least].append(one)
        sizes[least] += one.size
    return shares


def cause(text: str) -> str:
    """The line of an error of Spark that says why: the last one before the first stack of Java.

    There stands the error of a Python worker, if it was one, or what Spark itself says. Without
    the marks at its ends, which are no part of the sentence that it is put into.
    """
    lines = [line.strip(" :.") for line in text.partition("\n\tat ")[0].splitlines()]
    return next((line for line in reversed(lines) if line), "no reason given")


def _count_shares(work: Work, shares: Iterable[Sequence[FoundInput]]) -> Iterator[Sent]:
    """Count the inputs of one partition, in a worker."""
    try:
        crew = _session(work).gather()
    except UserError as error:
        # Sent, not raised: Spark would try again what no second try mends, and bury the message.
        yield "mistake", str(error)
        return
    try:
        for share in shares:
            for found in share:
                yield from map(_sent, crew.submit(found))
        yield from map(_sent, crew.drain())
    except BaseException:
        crew.stop()
        raise


def _sent(outcome: Outcome) -> Sent:
    return "outcome", outcome.to_json()


@lru_cache(maxsize=1)
def _session(work: Work) -> Session:
    """The session of this worker process for a run.

    Spark gives a process many partitions of a run, and the catalog takes long to compile; so the
    last one is kept, until another run comes or Spark ends the process, which it does to an idle
    one after a minute. Raises UserError where the workspace is not seen from here.
    """
    key = work.workspace.client_key
    # Else a key would be made here, and every client be a new one.
    if not storage.is_file(key):
        raise UserError(
            f"{key}: not there on {socket.gethostname()}, where Spark counts. Workers read catalog "
            "and key from the workspace and write fragments into it: put it, and the flow files, "
            "on a file system that all of them mount under the same path"
        )
    return Session(work)
