"""``v6share stream``: follow landing folders, and count, commit and publish files as they arrive.

One warm process: plan, kernels, the database and the known inputs stay in memory, so a batch costs
what its own files cost. Every batch goes the way of a run: count, commit, check, publish.

::

    look ──nothing new──▶ publish what is left, wait ──┐
     ▲  │ files                                        │
     │  ▼                                              │
     │ a batch: count ─▶ commit ─▶ check ─▶ publish    │
     │  │                                              │
     └──┴── does somebody wait for the workspace? ◀────┘
                │ yes: let go, until nobody waits, and open again
"""

import time
from collections import deque
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from math import inf
from pathlib import Path
from typing import Any, Final, Literal

from v6share.jobs.steps import report
from v6share.jobs.steps.commit import commit
from v6share.jobs.steps.count import remove_leftovers
from v6share.jobs.steps.gate import JobGate, job_gate
from v6share.jobs.steps.head_start import Warm
from v6share.jobs.steps.phases import Phases
from v6share.jobs.steps.run_context import RunContext, new_run_id, utc_now
from v6share.jobs.steps.stream_catalog import StreamCatalog, first_catalog
from v6share.jobs.steps.stream_publisher import Publisher
from v6share.jobs.steps.stream_source import FolderSource, OutcomeSource, Source
from v6share.jobs.steps.stream_state import StreamState, write_stream_state
from v6share.jobs.terminal import interrupt, messages, process, service, stdout
from v6share.jobs.terminal.exit_codes import ExitCode, JobStopped
from v6share.jobs.terminal.invocation import Invocation
from v6share.jobs.terminal.live_line import LiveLine
from v6share.pipelines.find import is_missing
from v6share.pipelines.landing import Arrival, age_seconds
from v6share.render.text import SeveralForm
from v6share.schemas.errors import UserError
from v6share.schemas.settings import Settings
from v6share.schemas.text.counts import counted
from v6share.warehouse.commit import refuse_damaged_journal
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.ledger.journal import Run
from v6share.warehouse.ledger.known_inputs import KnownInputs, known_inputs
from v6share.warehouse.ledger.lost_state import refuse_lost_journal, refuse_lost_runs
from v6share.warehouse.ledger.outcomes import Sorted, sort_outcomes
from v6share.warehouse.open import open_warehouse
from v6share.workspace import storage
from v6share.workspace.configured import read_settings_first
from v6share.workspace.find import find_workspace
from v6share.workspace.lock import Holder, WorkspaceBusy, hold, hold_stream, is_wanted
from v6share.workspace.paths import Workspace

# Behind by more, a stream publishes less often, to count more.
_BEHIND_SECONDS: Final = 60.0
_BATCHES_A_PUBLISH: Final = 5
_NAP_SECONDS: Final = 0.1
# A row of the ledger for each batch would be 80,000 a day.
_RUN_LASTS: Final = timedelta(hours=1)
# So often who looks at the state of a stream sees that it is alive.
_STATE_SECONDS: Final = 60.0

Ending = Literal["asked", "wanted", "memory", "swept"]
_ENDINGS: Final = {
    "asked": "asked to end",
    "memory": "started anew, over its limit of memory",
    "swept": "swept once",
}


@dataclass(frozen=True)
class Request:
    """The options of a stream, as given. from_outcomes: a folder, in place of paths."""

    paths: tuple[str, ...]
    from_outcomes: Path | None = None
    once: bool = False
    interval: int | None = None
    most_files: int | None = None
    full_check_minutes: int | None = None
    unknown_sampling: str | None = None
    dialect: str | None = None
    threads: int | None = None
    wait: float = 0
    gate: bool | None = None
    form: SeveralForm = "table"


def main(invocation: Invocation, request: Request) -> ExitCode:
    """Follow the paths until a signal ends it, or sweep them once."""
    workspace = find_workspace(invocation.root)
    flags = {
        "--interval": request.interval,
        "--most-files": request.most_files,
        "--full-check-minutes": request.full_check_minutes,
        "--unknown-sampling": request.unknown_sampling,
        "--threads": request.threads,
        "--gate": request.gate,
    }
    settings = read_settings_first(workspace, flags)
    source = _source(request, workspace)
    refuse_lost_journal(workspace)
    with (
        hold_stream(workspace, invocation.command),
        interrupt.ending_softly(),
        job_gate(workspace, settings.quality) as gate,
    ):
        stream = _Stream(invocation, request, workspace, source, gate, flags)
        with stream.line:
            ending = stream.follow(settings.run.threads)
        if ending == "memory":
            interrupt.hold_off()
            if not interrupt.is_ending():
                gate.end()
                service.start_anew()
    if stdout.is_wanted(request.form):
        stdout.write_tables({"stream": asdict(stream.state)}, request.form)
    return stream.exit_code(ending)


def _source(request: Request, workspace: Workspace) -> Source:
    if request.from_outcomes is not None:
        if request.paths:
            raise UserError(
                "--from-outcomes: found a PATH, too; give one of them. What the pipeline overlooks "
                "a `v6share run --wait 600 PATH` finds now and then"
            )
        if not request.from_outcomes.is_dir():
            raise UserError(f"{request.from_outcomes}: no such folder; workers make it, or you do")
        return OutcomeSource(request.from_outcomes, workspace)
    if not request.paths:
        raise UserError("expected a PATH to follow, or --from-outcomes DIR")
    missing = [path for path in request.paths if is_missing(path)]
    if missing:
        said = (
            f"{', '.join(missing)}: no such file or directory; make it before a stream follows it"
        )
        if len(missing) == len(request.paths):
            raise JobStopped(ExitCode.NO_INPUT, said)
        raise UserError(said)
    return FolderSource(request.paths, workspace)


@dataclass
class _Stream:
    """One stream, from its start to its end. flags: those that override the settings."""

    invocation: Invocation
    request: Request
    workspace: Workspace
    source: Source
    gate: JobGate
    flags: dict[str, Any]
    line: LiveLine = field(default_factory=LiveLine)
    state: StreamState = field(default_factory=lambda: StreamState(utc_now(), utc_now()))
    # Files that wait, the longest waiting first.
    waiting: deque[Arrival] = field(default_factory=deque)
    # The entry of the present run in the ledger: batches of an hour are one run.
    entry: Run | None = None
    batch_at: float = 0.0
    state_at: float = 0.0
    is_behind: bool = False
    lost_inputs: bool = False
    # In use after the first batch: a limit below it would have the stream start anew for ever.
    least_memory: int = 0
    warned_of_memory: bool = False
    waited_for: Holder | None = None

    def exit_code(self, ending: Ending) -> ExitCode:
        """What the process tells its caller. Raises JobStopped where there was nothing to sweep."""
        if self.state.held_back:
            return ExitCode.GATE
        if not self.request.once:
            return ExitCode.DONE
        if ending != "swept":
            raise JobStopped(ExitCode.INTERRUPTED, "interrupted before all was swept")
        if self.source.is_empty:
            raise JobStopped(
                ExitCode.NO_INPUT,
                f"no input matched {self.source.described}. Of a directory only *.parquet and "
                "*.parq are taken",
            )
        is_whole = not (self.lost_inputs or self.source.has_left)
        return ExitCode.DONE if is_whole else ExitCode.INPUT_FAILED

    def follow(self, threads: int) -> Ending:
        """Work until something ends it, and give way meanwhile to whoever waits."""
        at_work: _AtWork | None = None
        # Who sweeps for a timer does not wait for ever; who follows has nothing else to do.
        until = time.monotonic() + (self.request.wait if self.request.once else inf)
        while not interrupt.is_ending():
            service.notify("WATCHDOG=1")
            try:
                with (
                    hold(self.workspace, self.invocation.command, gives_way=True),
                    closing(open_warehouse(self.workspace, threads)) as connection,
                ):
                    at_work = self._opened(connection, at_work)
                    ending = self._work(at_work)
                    if ending != "wanted":
                        self._conclude(at_work, ending)
                        return ending
                    messages.say("another command has its turn", event="turn")
            except WorkspaceBusy as busy:
                self._wait_for(busy.holder, until)
            finally:
                storage.release_held()
            while is_wanted(self.workspace) and not interrupt.is_ending():
                service.notify("WATCHDOG=1")
                time.sleep(_NAP_SECONDS)
        return "asked"

    def _wait_for(self, holder: Holder, until: float) -> None:
        """Say once who holds the workspace, and wait. Raises WorkspaceBusy after ``until``."""
        if time.monotonic() >= until:
            raise WorkspaceBusy(holder)
        if holder != self.waited_for:
            self.waited_for = holder
            messages.say(f"waiting: the workspace is held by {holder}", event="waiting")
        time.sleep(_NAP_SECONDS)

    def _opened(self, connection: Connection, before: "_AtWork | None") -> "_AtWork":
        """All that is read from the workspace, now that it is ours; again after each turn."""
        refuse_lost_runs(connection, self.workspace)
        refuse_damaged_journal(connection, self.workspace)
        remove_leftovers(self.workspace)
        known = known_inputs(connection)
        if before is not None:
            before.catalog.look_again(connection)
            before.publisher.take(connection)
            return replace(before, connection=connection, known=known)
        catalog = first_catalog(connection, self.workspace, self.flags, self.source.arguments)
        if not self.request.once:
            self.gate.begin()
        service.notify("READY=1")
        if not self.request.once:
            messages.say(f"following {self.source.described}", event="following")
        return _AtWork(connection, known, catalog, Publisher(self.workspace, connection, self.gate))

    def _work(self, at_work: "_AtWork") -> Ending:
        while True:
            service.notify("WATCHDOG=1")
            if interrupt.is_ending():
                return "asked"
            if is_wanted(self.workspace):
                return "wanted"
            at_work.catalog.follow(at_work.connection)
            if not self.waiting:
                self.waiting.extend(self.source.look(at_work.known))
            at_work.publisher.check_some(at_work.settings.stream.full_check_minutes)
            if self.waiting:
                self._batch(at_work)
                process.collect_garbage()
                if self._needs_memory(at_work.settings):
                    return "memory"
            elif self.request.once:
                return "swept"
            else:
                self._idle(at_work)

    def _idle(self, at_work: "_AtWork") -> None:
        """Nothing to count: publish what readers do not see yet, and wait."""
        at_work.publisher.publish(Phases(), lambda: at_work.catalog.plan)
        if time.monotonic() - self.state_at >= _STATE_SECONDS:
            self._keep_state(at_work)
        self._show()
        self._nap_until(time.monotonic() + at_work.settings.stream.interval_seconds)

    def _nap_until(self, moment: float) -> None:
        """Wait, unless somebody waits for us."""
        while time.monotonic() < moment:
            if interrupt.is_ending() or is_wanted(self.workspace):
                return
            time.sleep(_NAP_SECONDS)

    def _batch(self, at_work: "_AtWork") -> None:
        """Count, commit and publish the files that have waited longest."""
        settings = at_work.settings.stream
        if len(self.waiting) < settings.most_files:
            self._nap_until(self.batch_at + settings.interval_seconds)
        self.batch_at = time.monotonic()
        few = min(settings.most_files, len(self.waiting))
        batch = [self.waiting.popleft() for _ in range(few)]
        so_far = self._entry(at_work)
        run = at_work.new_batch(so_far, self.invocation.command, self.request.dialect)
        with run.phases.timed("count"):
            outcomes = self.source.outcomes(run, batch)
        unsettled = {one.path: one for one in outcomes if one.status in ("busy", "failed")}
        if len(unsettled) == len(outcomes):
            result = sort_outcomes(outcomes, run.known)
        else:
            with run.phases.timed("commit"):
                self.entry, result = commit(run, outcomes, so_far=so_far)
        report.say_what_needs_a_look_in_batch(run, result)
        for changes in run.recorded:
            at_work.known.follow(changes)
        unsettled |= {one.path: one for one in result.failed}
        self.source.settle(batch, unsettled)
        settled = [one for one in batch if one.found.path not in unsettled]
        at_work.publisher.note(self.source.changing(settled, result))
        self._note(settled, result)
        published = self._is_time_to_publish() and at_work.publisher.publish(
            run.phases, lambda: at_work.catalog.plan, files_wait=bool(self.waiting)
        )
        self._keep_state(at_work)
        self._say(batch, result, run.phases, published=published)

    def _entry(self, at_work: "_AtWork") -> Run | None:
        """The entry that the next batch adds to; None for a new one."""
        entry, version = self.entry, at_work.catalog.configured.catalog_version
        if entry is None or entry.catalog_version != version:
            return None
        return entry if utc_now() - entry.started_at < _RUN_LASTS else None

    def _note(self, settled: Sequence[Arrival], result: Sorted) -> None:
        self.lost_inputs = self.lost_inputs or bool(result.refused or result.failed)
        oldest = age_seconds(self.waiting[0], time.time_ns()) if self.waiting else 0.0
        self.state = replace(
            self.state,
            batches=self.state.batches + 1,
            files=self.state.files + len(settled),
            rows=self.state.rows + sum(one.rows_counted for one in result.committed),
            backlog=len(self.waiting),
            oldest_seconds=round(oldest, 1),
        )
        was_behind, self.is_behind = self.is_behind, oldest > _BEHIND_SECONDS
        if self.is_behind and not was_behind:
            messages.say(
                f"{len(self.waiting):,} files wait, the first of them for {oldest:,.0f} s: "
                f"publishing every {_BATCHES_A_PUBLISH}th batch until they are counted",
                event="behind",
                backlog=len(self.waiting),
            )

    def _is_time_to_publish(self) -> bool:
        return not self.is_behind or self.state.batches % _BATCHES_A_PUBLISH == 0

    def _keep_state(self, at_work: "_AtWork") -> None:
        publisher = at_work.publisher
        self.state_at = time.monotonic()
        self.state = replace(
            self.state,
            at=utc_now(),
            lag_seconds=publisher.lag_seconds,
            held_back=publisher.held_back,
            catalog=at_work.catalog.pending,
        )
        write_stream_state(self.workspace, self.state)

    def _say(
        self, batch: Sequence[Arrival], result: Sorted, phases: Phases, *, published: bool
    ) -> None:
        """A line a batch in a log; on a terminal, one line that changes."""
        self._show()
        if self.line.is_drawn:
            return
        rows = sum(one.rows_counted for one in result.committed)
        lag = self.state.lag_seconds if published else None
        known = (result.copies, result.refused_copies, result.refused_again, result.forgotten)
        became = {
            "counted": len(result.committed),
            "quarantined": len(result.refused),
            "known": sum(map(len, known)),
            "busy": len(result.busy),
            "failed": len(result.failed),
        }
        said = [f"{count:,} {what}" for what, count in became.items() if count]
        said = [f"{counted(len(batch), 'file')}: {', '.join(said)}"]
        said += [f"{rows:,} rows"] if rows else []
        said += [] if lag is None else [f"{lag:.1f} s from arrival to published"]
        said += [f"{self.state.backlog:,} wait"] if self.state.backlog else []
        moment = f"{self.state.at:%Y-%m-%dT%H:%M:%SZ} " if messages.current().log == "text" else ""
        messages.say(
            moment + ", ".join(said),
            event="batch",
            found=len(batch),
            **became,
            rows=rows,
            phases={name: round(seconds, 4) for name, seconds in phases.seconds.items()},
            lag_seconds=lag,
            backlog=self.state.backlog,
        )

    def _show(self) -> None:
        lag = self.state.lag_seconds
        seen = "nothing published yet" if lag is None else f"last published after {lag:.1f} s"
        self.line.show(
            f"{self.state.files:,} files, {self.state.rows:,} rows counted; {seen}; "
            f"{self.state.backlog:,} wait"
        )

    def _needs_memory(self, settings: Settings) -> bool:
        """Whether the process is to start anew, as it has grown beyond the limit."""
        limit = settings.stream.memory_limit_mib << 20
        used = service.memory_bytes()
        self.least_memory = self.least_memory or used
        if used <= limit or self.request.once:
            return False
        if self.least_memory <= limit:
            messages.say(
                f"{used >> 20:,} MiB in use, over the limit of {limit >> 20:,}: starting anew",
                event="restart",
            )
            return True
        if not self.warned_of_memory:
            self.warned_of_memory = True
            messages.warn(
                f"[stream] memory_limit_mib: found {limit >> 20:,}, expected more than the "
                f"{self.least_memory >> 20:,} MiB that were in use after the first batch; the "
                "stream goes on without a limit"
            )
        return False

    def _conclude(self, at_work: "_AtWork", ending: Ending) -> None:
        """Check all once more, publish what is left, and say how it ended.

        Who sweeps every few minutes checks all no more often than who follows.
        """
        service.notify("STOPPING=1")
        publisher = at_work.publisher
        minutes = at_work.settings.stream.full_check_minutes
        is_over = ending == "asked" and publisher.is_anything_unchecked
        if is_over or publisher.is_check_due(minutes):
            publisher.check_all()
        publisher.publish(Phases())
        self.state = replace(self.state, ended=_ENDINGS[ending])
        self._keep_state(at_work)
        messages.say(
            f"ended after {self.state.batches:,} batches: {self.state.files:,} files, "
            f"{self.state.rows:,} rows counted",
            event="ended",
        )


@dataclass(frozen=True)
class _AtWork:
    """What a stream holds while the workspace is its own."""

    connection: Connection
    known: KnownInputs
    catalog: StreamCatalog
    publisher: Publisher

    @property
    def settings(self) -> Settings:
        """As they count now."""
        return self.catalog.settings

    def new_batch(self, so_far: Run | None, command: str, dialect: str | None) -> RunContext:
        """The next batch, of the run that it goes on with, or of a new one."""
        now = utc_now()
        return RunContext(
            run_id=new_run_id(now) if so_far is None else so_far.run_id,
            command=command,
            started_at=now if so_far is None else so_far.started_at,
            clock=time.monotonic(),
            configured=self.catalog.configured,
            connection=self.connection,
            known=self.known,
            ahead=Warm(self.catalog.plan),
            gate=self.publisher.gate,
            dialect=dialect,
            is_batch=True,
            earlier=self.catalog.earlier,
        )
