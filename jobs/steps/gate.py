"""The gate of a job: whether what it is about to publish is plausible.

Great Expectations judges in a process of its own (``quality/``), which is begun as soon as a job
knows that it will change numbers. Where it cannot judge, nothing is published.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from v6share import __version__
from v6share.jobs.terminal.process import let_pandas_be_found
from v6share.quality.gate import Gate
from v6share.quality.messages import Verdict
from v6share.quality.suites import Expectation, Suite, read_suites
from v6share.render.values import value_for_people
from v6share.schemas.errors import UserError
from v6share.schemas.evidence import Evidence
from v6share.schemas.settings import Quality
from v6share.warehouse.checks import NOT_JUDGED, Changed, CheckResult, is_recent
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.database.state import read_state, write_state
from v6share.warehouse.database.transaction import transaction
from v6share.warehouse.evidence import Question, gather_evidence, note_judged, sampled_inputs
from v6share.warehouse.kept.snapshot import GATE_NOT_RUN
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

if TYPE_CHECKING:
    from v6share.jobs.steps.spark_engine import SparkEngine
    from v6share.pipelines.kernels.plan import Plan


@dataclass(frozen=True)
class JobGate:
    """The gate of one job.

    gate: None where it was told to do without (``--no-gate``). engine: what counts, where that is
    Spark; it judges, too, where it has counted something.
    """

    workspace: Workspace
    suites: Mapping[str, Suite] = field(default_factory=dict)
    gate: Gate | None = None
    engine: "SparkEngine | None" = None

    def begin(self) -> None:
        """Load what judges, beside what else is done: numbers will change."""
        if self.gate is not None:
            self.gate.begin()

    def end(self) -> None:
        """End the process that judges; it is begun again where it is needed again."""
        if self.gate is not None:
            self.gate.close()

    def judge_due(
        self,
        connection: Connection,
        changed: Changed | None,
        now: datetime,
        docs: Path | None = None,
        plan: "Callable[[], Plan] | None" = None,
    ) -> list[CheckResult]:
        """Judge what changed, as ``judge``, and keep in mind what was not judged.

        All is judged once a day, with other expectations, and where numbers changed since that were
        not judged: without the gate, or for it failed, or something kept them back. Raises
        GateFailed.
        """
        since = read_state(connection, "judged_whole")
        if since:
            # Until they are judged: whatever ends this job must not count as a pass.
            with transaction(connection):
                write_state(connection, "judged_whole", "")
        if self.gate is None:
            return []
        moment, _, suites = since.partition(" ")
        digest = self._digest()
        if suites != digest or not is_recent(datetime.fromisoformat(moment), now):
            changed = None
        results = self.judge(connection, changed, now, docs, plan)
        if not any(result.blocks for result in results):
            judged = f"{now.isoformat()} {digest}" if changed is None else since
            with transaction(connection):
                write_state(connection, "judged_whole", judged)
        return results

    def _digest(self) -> str:
        """Of the expectations: what others passed is not known to pass these."""
        texts = [suite.model_dump_json() for suite in self.suites.values()]
        files = [] if self.gate is None else [storage.read(file) for file in self.gate.python]
        return sha256("".join([__version__, *texts]).encode() + b"".join(files)).hexdigest()

    def judge(
        self,
        connection: Connection,
        changed: Changed | None,
        now: datetime,
        docs: Path | None = None,
        plan: "Callable[[], Plan] | None" = None,
    ) -> list[CheckResult]:
        """What the expectations found; none where the job does without the gate.

        changed: what did since it was last judged; None: all is judged. docs: a folder for Data
        Docs. plan: gives that with which inputs were counted; without, it is compiled where there
        are inputs to take a sample of. Raises GateFailed where the gate cannot judge.
        """
        if self.gate is None:
            return []
        days = None if changed is None else changed.days
        inputs = None if changed is None else changed.inputs
        evidence = gather_evidence(connection, Question(now, days, inputs))
        if new := sampled_inputs(connection):
            from v6share.pipelines.flow_sample import sample_flows  # here: Numba is slow to load

            sample = sample_flows(new, (plan or self._plan)())
            evidence["flows"] = Evidence(sample, ("path", "row"))
        verdicts = self._validate(self.gate, evidence, docs)
        note_judged(connection)
        expectations = {
            (name, one.name): one
            for name, suite in self.suites.items()
            for one in suite.expectations
        }
        keys = {name: one.key for name, one in evidence.items()}
        return [
            _result(one, expectations[one.suite, one.name], keys.get(one.suite, ()))
            for one in verdicts
        ]

    def _plan(self) -> "Plan":
        # Here: catalog and kernels are slow to load, and mostly no flow is to be judged.
        from v6share.jobs.steps.head_start import compile_now
        from v6share.workspace.configured import configure_for_reading

        return compile_now(configure_for_reading(self.workspace.root, {}))

    def _validate(
        self, gate: Gate, evidence: Mapping[str, Evidence], docs: Path | None
    ) -> list[Verdict]:
        if self.engine is None or not self.engine.sessions:
            return gate.validate(self.suites, evidence, docs)
        from v6share.quality.in_spark import validate_in_spark  # here: only Spark needs it

        let_pandas_be_found()
        return validate_in_spark(self.engine.sessions[0], self.suites, evidence, docs, gate.python)


def _result(verdict: Verdict, expectation: Expectation, key: Sequence[str]) -> CheckResult:
    return CheckResult(
        name=f"{verdict.suite}.{verdict.name}",
        what=expectation.what,
        in_words="{row}",
        severity=expectation.severity,
        found=verdict.unexpected if verdict.outcome == "failed" else 0,
        sample=tuple(_rows_in_words(verdict, key)),
        judged=verdict.judged,
        error=verdict.observed if verdict.outcome == "errored" else "",
    )


def _rows_in_words(verdict: Verdict, key: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows that are not as expected, by their key and in words, or what was found of all;
    nothing where all is well.
    """
    if verdict.outcome not in ("failed", "errored"):
        return
    for row in verdict.sample:
        about = {name: row[name] for name in key if name in row}
        yield {**about, "row": ", ".join(starmap(_value_in_words, row.items()))}
    if not verdict.sample:
        yield {"row": f"found {verdict.observed}"}


def _value_in_words(name: str, value: object) -> str:
    return f"{name} {value if isinstance(value, str) else value_for_people(name, value)}"


def gate_in_words(results: Sequence[CheckResult]) -> str:
    """What the gate says of the numbers, given what all checks found; none of them failed."""
    judged = [one for one in results if one.judged is not None]
    if not judged:
        return GATE_NOT_RUN
    warned = sum(not one.passed for one in judged)
    idle = sum(one.outcome == NOT_JUDGED for one in judged)
    said = [f"{len(judged) - warned - idle} expectations met"]
    said += [f"{warned} not met, to look at"] if warned else []
    said += [f"{idle} had nothing to judge"] if idle else []
    return ", ".join(said)


@contextmanager
def job_gate(workspace: Workspace, settings: Quality) -> Iterator[JobGate]:
    """The gate of a job while the block runs; none where the settings say so.

    Raises UserError where a suite of the workspace holds a mistake, or a file that the settings
    name is not there.
    """
    suites = read_suites(workspace)
    if not settings.gate:
        yield JobGate(workspace, suites)
        return
    python = [workspace.quality / name for name in settings.python]
    for file in python:
        if not storage.is_file(file):
            raise UserError(f"{file}: no such file, and [quality] python names it")
    with Gate(python) as gate:
        yield JobGate(workspace, suites, gate)
