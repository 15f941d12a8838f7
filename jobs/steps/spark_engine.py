"""Counting in Spark: one session for a whole run, begun when there is something to count."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from v6share.jobs.steps.head_start import say_if_cold
from v6share.jobs.steps.runner import Runner
from v6share.jobs.terminal import messages
from v6share.jobs.terminal.exit_codes import ExitCode, JobStopped
from v6share.pipelines.work import Work
from v6share.schemas.errors import EngineFailed
from v6share.schemas.outcome import FoundInput, Outcome
from v6share.schemas.text.counts import counted


@contextmanager
def engine_of(runner: Runner) -> "Iterator[SparkEngine | None]":
    """What counts for a run while the block lasts; None where this process itself does."""
    if runner.name == "local":
        yield None
        return
    with ExitStack() as until_end:
        yield SparkEngine(runner, until_end)


@dataclass
class SparkEngine:
    """Counts in a session that lasts as long as the run. sessions: it, once it is begun."""

    runner: Runner
    until_end: ExitStack
    sessions: list[Any] = field(default_factory=list)

    def __call__(self, inputs: Sequence[FoundInput], work: Work) -> list[Outcome]:
        """Count. Raises UserError where Spark cannot be had, JobStopped (INTERNAL) where it fails.

        What was committed before stays.
        """
        from v6share.pipelines.engines.spark import count_in_spark  # here: only Spark needs it

        try:
            session = self._session()
            context = session.sparkContext
            page = f", to be watched at {context.uiWebUrl}" if context.uiWebUrl else ""
            messages.say(
                f"counting {counted(len(inputs), 'input')} in Spark ({context.master}){page}",
                inputs=len(inputs),
                size=sum(one.size for one in inputs),
                master=context.master,
            )
            return count_in_spark(session, inputs, work)
        except EngineFailed as error:
            raise JobStopped(
                ExitCode.INTERNAL,
                f"{error}. Nothing of this was committed; run the same again (-v shows Spark's "
                "log: v6share -v ...)",
            ) from error

    def _session(self) -> Any:
        from v6share.pipelines.engines.spark_session import spark_session

        if not self.sessions:
            say_if_cold()
            verbose = messages.current().verbosity > 0
            begun = spark_session(self.runner.spark_conf, shows_log=verbose)
            self.sessions.append(self.until_end.enter_context(begun))
        return self.sessions[0]
