"""``v6share stream``: follow landing folders, and count, commit and publish as files arrive.

One warm process: plan, kernels, the database and the known inputs stay in memory, so a batch costs
what its own files cost. Every batch goes the way of a run: count, commit, check, publish.

::

    look into the folders ──nothing new──▶ is a whole check due? ──▶ wait ──┐
        ▲        │ files                                                    │
        │        ▼                                                          │
        │   a batch: count ─▶ commit ─▶ check what changed ─▶ publish       │
        │        │                                                          │
        └────────┴── does somebody wait for the workspace? ◀────────────────┘
                           │ yes: let go, until nobody waits, and open again
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from v6share.jobs.steps import report
from v6share.jobs.steps.check_and_publish import (
    described,
    note_results,
    publish_checked,
    refresh_and_check,
)
from v6share.jobs.steps.commit import commit
from v6share.jobs.steps.count import count, remove_leftovers, say_catalog_advice
from v6share.jobs.steps.head_start import Warm, compile_now, say_if_cold
from v6share.jobs.steps.phases import Phases
from v6share.jobs.steps.run_context import RunContext, new_run_id, utc_now
from v6share.jobs.steps.stream_state import StreamState, write_stream_state
from v6share.jobs.terminal import interrupt, messages, service
from v6share.jobs.terminal.exit_codes import ExitCode, JobStopped
from v6share.jobs.terminal.invocation import Invocation
from v6share.jobs.terminal.live_line import LiveLine
from v6share.pipelines.find import is_missing
from v6share.pipelines.landing import Arrival, LandingFolders, age_seconds
from v6share.schemas.catalog.dimension_rows import dimension_tables
from v6share.schemas.errors import CatalogError, UserError
from v6share.schemas.settings import Settings
from v6share.warehouse.checks import CheckResult, note_checked_whole, run_checks_in_parts
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.dimensions import replace_dimensions
from v6share.warehouse.ledger.known_inputs import KnownInputs, known_inputs
from v6share.warehouse.ledger.lost_catalog import refuse_lost_catalog, remember_catalog
from v6share.warehouse.ledger.lost_state import refuse_lost_journal, refuse_lost_runs
from v6share.warehouse.ledger.outcomes import Sorted
from v6share.warehouse.ledger.rerun import sort_out
from v6share.warehouse.open import open_warehouse
from v6share.warehouse.publish import needs_publish
from v6share.warehouse.status import newest_catalog_version
from v6share.workspace.catalog_files import declared_stamp, read_settings
from v6share.workspace.configured import Configured, read_declared
from v6share.workspace.find import find_workspace
from v6share.workspace.lock import hold, hold_stream, is_wanted
from v6share.workspace.paths import Workspace

if TYPE_CHECKING:
    from v6share.pipelines.kernels.plan import Plan

_SWEEP_SECONDS: Final = 60.0
# A file that is still being written is looked at again so soon; one that failed, at a sweep.
_BUSY_SECONDS: Final = 5.0
# Behind by more, a stream publishes less often, to count more.
_BEHIND_SECONDS: Final = 60.0
_BATCHES_A_PUBLISH: Final = 5
_NAP_SECONDS: Final = 0.1

Ending = Literal["asked", "wanted", "memory", "swept"]


@dataclass(frozen=True)
class Request:
    """The options of a stream, as given."""

    paths: tuple[str, ...]
    once: bool = False
    interval: int | None = None
    most_files: int | None = None
    full_check_minutes: int | None = None
    unknown_sampling: str | None = None
    dialect: str | None = None
    threads: int | None = None
    wait: float = 0


def main(invocation: Invocation, request: Request) -> ExitCode:
    """Follow the paths until a signal ends it, or sweep them once."""
    workspace = find_workspace(invocation.root)
    flags = {
        "--interval": request.interval,
        "--most-files": request.most_files,
        "--full-check-minutes": request.full_check_minutes,
        "--unknown-sampling": request.unknown_sampling,
        "--threads": request.threads,
    }
    settings = read_settings(workspace, flags)
    refuse_lost_journal(workspace)
    missing = [path for path in request.paths if is_missing(path)]
    if missing:
        raise UserError(
            f"{', '.join(missing)}: no such file or directory; make it before a stream follows it"
        )
    with hold_stream(workspace, invocation.command), interrupt.ending_softly():
        stream = _Stream(invocation, request, workspace, settings, flags)
        with stream.line:
            ending = stream.follow()
    if ending == "memory":
        service.start_anew()
    return stream.exit_code()


@dataclass
class _Stream:
    """One stream, from its start to its end. flags: those that override the settings."""

    invocation: Invocation
    request: Request
    workspace: Workspace
    settings: Settings
    flags: dict[str, Any]
    line: LiveLine = field(default_factory=LiveLine)
    state: StreamState = field(default_factory=lambda: StreamState(utc_now(), utc_now()))
    # Files that wait, the longest waiting first; and of those counted, but not published yet.
    waiting: deque[Arrival] = field(default_factory=deque)
    unpublished: list[Arrival] = field(default_factory=list)
    swept_at: float = -_SWEEP_SECONDS
    batch_at: float = 0.0
    # When all was last checked, and whether anything was committed since; where it is being
    # checked now, what is left of that, and since when.
    checked_at: float = field(default_factory=time.monotonic)
    unchecked: bool = False
    parts: Iterator[list[CheckResult]] | None = None
    parts_began: datetime = field(default_factory=utc_now)
    is_behind: bool = False
    lost_inputs: bool = False
    # In use after the first batch: a limit below it would have the stream start anew for ever.
    least_memory: int = 0
    said: set[str] = field(default_factory=set)
    declared: "_Declared | None" = None
    # Of the files of catalog and settings, as they were last read; None: to be looked at.
    stamp: tuple[object, ...] | None = None

    def __post_init__(self) -> None:
        excluded = (self.workspace.state, self.workspace.published.parent)
        self.landing = LandingFolders(self.request.paths, excluded, messages.warn)

    def exit_code(self) -> ExitCode:
        """What the process tells its caller."""
        if self.state.held_back:
            return ExitCode.GATE
        if self.request.once and self.landing.is_empty:
            raise JobStopped(
                ExitCode.NO_INPUT,
                f"no input matched {', '.join(self.request.paths)}. Of a directory only *.parquet "
                "and *.parq are taken",
            )
        return ExitCode.INPUT_FAILED if self.lost_inputs and self.request.once else ExitCode.DONE

    def follow(self) -> Ending:
        """Work until something ends it, and give way meanwhile to whoever waits."""
        wait = self.request.wait
        while True:
            with (
                hold(self.workspace, self.invocation.command, wait, gives_way=True),
                closing(open_warehouse(self.workspace, self.settings.run.threads)) as connection,
            ):
                at_work = self._opened(connection)
                ending = self._work(at_work)
                if ending != "wanted":
                    self._conclude(at_work, ending)
                    return ending
            wait = float("inf")
            messages.say("another command has its turn", event="turn")
            while is_wanted(self.workspace) and not interrupt.is_ending():
                time.sleep(_NAP_SECONDS)

    # Opening

    def _opened(self, connection: Connection) -> "_AtWork":
        """All that is read from the workspace, now that it is ours; again after each turn."""
        refuse_lost_runs(connection, self.workspace)
        refuse_lost_catalog(connection, self.workspace)
        remove_leftovers(self.workspace)
        self.parts = None  # of a connection that is closed
        if self.declared is None:
            self.declared = self._first_declared(connection)
        # A job that had its turn may have counted with a catalog that the stream did not take over.
        self.stamp = None
        return _AtWork(connection, known_inputs(connection), self.declared)

    def _first_declared(self, connection: Connection) -> "_Declared":
        configured = read_declared(self.workspace, self.settings)
        report.say_what_looks_wrong(configured)
        say_catalog_advice(configured)
        say_if_cold()
        declared = _Declared(configured, compile_now(configured))
        _declare(connection, configured)
        service.notify("READY=1")
        if not self.request.once:
            messages.say(f"following {', '.join(self.request.paths)}", event="following")
        return declared

    # Working

    def _work(self, at_work: "_AtWork") -> Ending:
        while True:
            service.notify("WATCHDOG=1")
            if interrupt.is_ending():
                return "asked"
            if is_wanted(self.workspace):
                return "wanted"
            self._follow_catalog(at_work)
            self._look(at_work.known)
            self._check_some(at_work)
            if self.waiting:
                self._batch(at_work)
                if self._needs_memory():
                    return "memory"
            elif self.request.once:
                return "swept"
            else:
                self._idle(at_work)

    def _look(self, known: KnownInputs) -> None:
        """Fill the list of those that wait, once it is empty."""
        if self.waiting:
            return
        now = time.monotonic()
        is_sweep = now - self.swept_at >= _SWEEP_SECONDS
        if is_sweep:
            self.swept_at = now
            # So that who looks at it sees that the stream is alive.
            write_stream_state(self.workspace, replace(self.state, at=utc_now()))
        for arrival in self.landing.sweep() if is_sweep else self.landing.poll():
            found = arrival.found
            if known.input_of(found.path, found.size, found.mtime_ns) is None:
                self.waiting.append(arrival)
            else:
                self.landing.settle(arrival)

    def _idle(self, at_work: "_AtWork") -> None:
        """Nothing to count: publish what readers do not see yet, or wait."""
        self._publish(at_work, Phases())
        self._show()
        until = time.monotonic() + self.settings.stream.interval_seconds
        while time.monotonic() < until and not interrupt.is_ending():
            if is_wanted(self.workspace):
                return
            time.sleep(_NAP_SECONDS)

    def _batch(self, at_work: "_AtWork") -> None:
        """Count, commit and publish the files that have waited longest."""
        self._keep_apart()
        most = self.settings.stream.most_files
        batch = [self.waiting.popleft() for _ in range(min(most, len(self.waiting)))]
        run = at_work.new_run(self.invocation.command, self.request.dialect)
        inputs = [one.found for one in batch]
        with run.phases.timed("count"):
            outcomes = count(run, inputs)
        unsettled = {one.path for one in outcomes if one.status in ("busy", "failed")}
        busy = {one.path for one in outcomes if one.status == "busy"}
        result = Sorted()
        if len(unsettled) < len(outcomes):
            with run.phases.timed("commit"):
                fates = sort_out(inputs, run.known, run.versions)
                _, result = commit(run, fates, outcomes)
        report.say_what_needs_a_look_in_batch(run, result)
        for changes in run.recorded:
            at_work.known.follow(changes)
        left = {one.path for one in result.failed} | unsettled
        for arrival in batch:
            if arrival.found.path in left:
                is_busy = arrival.found.path in busy
                self.landing.retry(arrival, _BUSY_SECONDS if is_busy else _SWEEP_SECONDS)
            else:
                self.landing.settle(arrival)
        self._note(batch, result)
        if self._is_time_to_publish():
            self._publish(at_work, run.phases)
        self._say(batch, result, run.phases)

    def _keep_apart(self) -> None:
        """Batches begin an interval apart, unless files wait longer already."""
        until = self.batch_at + self.settings.stream.interval_seconds
        if len(self.waiting) < self.settings.stream.most_files:
            while time.monotonic() < until and not interrupt.is_ending():
                time.sleep(_NAP_SECONDS)
        self.batch_at = time.monotonic()

    def _note(self, batch: Sequence[Arrival], result: Sorted) -> None:
        self.unpublished += batch
        self.unchecked = self.unchecked or bool(result.committed)
        self.lost_inputs = self.lost_inputs or bool(result.refused or result.failed)
        oldest = age_seconds(self.waiting[0], time.time_ns()) if self.waiting else 0.0
        self.state = replace(
            self.state,
            at=utc_now(),
            batches=self.state.batches + 1,
            files=self.state.files + len(batch),
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

    # Checking and publishing

    def _publish(self, at_work: "_AtWork", phases: Phases) -> None:
        """Check what changed, and publish; where a check fails, commit on and publish no more."""
        if self.state.held_back or not needs_publish(at_work.connection, self.workspace):
            return
        results = refresh_and_check(
            at_work.connection, self.workspace, trusts_commits=True, phases=phases
        )
        if self._hold_back(results):
            return
        with phases.timed("publish"):
            publish_checked(at_work.connection, self.workspace, results)
        now = time.time_ns()
        lag = max((age_seconds(one, now) for one in self.unpublished), default=None)
        self.unpublished = []
        self.state = replace(self.state, lag_seconds=None if lag is None else round(lag, 2))

    def _is_check_due(self) -> bool:
        """Whether all is to be checked, also what did not change."""
        every = 60 * self.settings.stream.full_check_minutes
        is_late = time.monotonic() - self.checked_at >= every
        return is_late and (self.unchecked or bool(self.state.held_back))

    def _check_some(self, at_work: "_AtWork") -> None:
        """Where all is to be checked, check the next day: files do not wait for all at once."""
        if self.parts is None and self._is_check_due():
            self.checked_at, self.unchecked = time.monotonic(), False
            if self.state.held_back:
                self._check_whole(at_work)
                return
            self.parts, self.parts_began = run_checks_in_parts(at_work.connection), utc_now()
        if self.parts is None:
            return
        results = next(self.parts, None)
        if results is None:
            self.parts = None
            note_checked_whole(at_work.connection, self.parts_began)
            messages.detail("all is checked", event="checked")
        elif any(result.blocks for result in results):
            self.parts = None
            note_results(at_work.connection, utc_now(), results, whole=False)
            self._hold_back(results)

    def _check_whole(self, at_work: "_AtWork") -> None:
        """Check all at once; publish, again where it was held back, if all passes."""
        results = refresh_and_check(at_work.connection, self.workspace, whole=True)
        if self._hold_back(results):
            return
        if needs_publish(at_work.connection, self.workspace):
            publish_checked(at_work.connection, self.workspace, results)
            self.unpublished = []

    def _hold_back(self, results: Sequence[CheckResult]) -> bool:
        """Say what the checks found, warnings once; whether one of them keeps the numbers back."""
        for result in results:
            if not result.passed and not result.blocks:
                self._say_once(result.name, described(result))
        failed = [result for result in results if result.blocks]
        for result in failed:
            messages.fail(described(result), check=result.name)
        if failed:
            messages.fail(
                f"{len(failed)} of {len(results)} checks failed: nothing is published from now on, "
                "files are counted and committed as before. `v6share check` shows the rows, "
                "`v6share rebuild` makes the tables anew"
            )
        elif self.state.held_back:
            messages.say("all checks pass again; publishing goes on")
        held_back = ", ".join(result.name for result in failed)
        self.state = replace(self.state, held_back=held_back)
        return bool(failed)

    def _say_once(self, about: str, message: str) -> None:
        if about not in self.said:
            self.said.add(about)
            messages.warn(message)

    # The catalog

    def _follow_catalog(self, at_work: "_AtWork") -> None:
        """Take over a catalog that changed, as far as no row counted before is affected."""
        stamp = declared_stamp(self.workspace)
        if stamp == self.stamp:
            return
        self.stamp = stamp
        try:
            settings = read_settings(self.workspace, self.flags)
            configured = read_declared(self.workspace, settings)
        except (CatalogError, UserError) as error:
            messages.warn(f"{error}. The stream goes on with the catalog as it was")
            return
        before = at_work.declared.configured
        if (configured.catalog, configured.settings) == (before.catalog, before.settings):
            return
        same = (before.catalog_version, newest_catalog_version(at_work.connection))
        if configured.catalog_version in same:
            self.settings = settings
            at_work.declared = self.declared = _Declared(configured, compile_now(configured))
            _declare(at_work.connection, configured)
            messages.say("the catalog changed; it is taken over", event="catalog")
            return
        self._say_once(
            configured.catalog_version,
            "the catalog changed so that flows count otherwise, and the stream goes on with the "
            f"version before. `v6share run --wait 600 {' '.join(self.request.paths)}` counts all "
            "files there anew, and the stream takes the new version over then; `v6share backfill "
            "--wait 600 --since T --until T PATH` does so for a time",
        )

    # Saying and ending

    def _say(self, batch: Sequence[Arrival], result: Sorted, phases: Phases) -> None:
        write_stream_state(self.workspace, self.state)
        rows = sum(one.rows_counted for one in result.committed)
        quarantined = len(result.refused)
        parts = [
            f"{len(batch):,} files",
            *([f"{quarantined:,} quarantined"] if quarantined else []),
            f"{rows:,} rows",
            *(
                [f"{self.state.lag_seconds:.1f} s from arrival to published"]
                if self.state.lag_seconds is not None and not self.unpublished
                else []
            ),
            *([f"{self.state.backlog:,} wait"] if self.state.backlog else []),
        ]
        if not self.line.is_drawn:
            messages.say(
                ", ".join(parts),
                event="batch",
                found=len(batch),
                counted=len(result.committed),
                quarantined=quarantined,
                rows=rows,
                phases={name: round(took, 4) for name, took in phases.seconds.items()},
                lag_seconds=None if self.unpublished else self.state.lag_seconds,
                backlog=self.state.backlog,
            )
        self._show()

    def _show(self) -> None:
        lag = self.state.lag_seconds
        self.line.show(
            f"{self.state.files:,} files, {self.state.rows:,} rows counted; "
            f"{'nothing published yet' if lag is None else f'last published after {lag:.1f} s'}; "
            f"{self.state.backlog:,} wait"
        )

    def _needs_memory(self) -> bool:
        limit = self.settings.stream.memory_limit_mib << 20
        used = service.memory_bytes()
        if self.state.batches == 1:
            self.least_memory = used
        if used <= limit or self.request.once:
            return False
        if self.least_memory > limit:
            self._say_once(
                "memory",
                f"[stream] memory_limit_mib: found {limit >> 20:,}, expected more than the "
                f"{self.least_memory >> 20:,} MiB that were in use after the first batch; the "
                "stream goes on without a limit",
            )
            return False
        messages.say(
            f"{used >> 20:,} MiB in use, over the limit of {limit >> 20:,}: starting anew",
            event="restart",
        )
        return True

    def _conclude(self, at_work: "_AtWork", ending: Ending) -> None:
        """Check all once more, publish what is left, and say how it ended.

        Who sweeps every few minutes checks all no more often than who follows.
        """
        service.notify("STOPPING=1")
        if (self.unchecked and ending == "asked") or self._is_check_due():
            self._check_whole(at_work)
        self._publish(at_work, Phases())
        write_stream_state(self.workspace, replace(self.state, at=utc_now()))
        messages.say(
            f"ended after {self.state.batches:,} batches: {self.state.files:,} files, "
            f"{self.state.rows:,} rows counted",
            event="ended",
        )


def _declare(connection: Connection, configured: Configured) -> None:
    """Bring what the catalog declares to the dimension tables."""
    replace_dimensions(connection, dimension_tables(configured.catalog, configured.settings))
    remember_catalog(connection, configured.catalog)


@dataclass(frozen=True)
class _Declared:
    """A catalog with its settings, and the plan that was compiled from it."""

    configured: Configured
    plan: "Plan"


@dataclass
class _AtWork:
    """What a stream holds while the workspace is its own."""

    connection: Connection
    known: KnownInputs
    declared: _Declared

    def new_run(self, command: str, dialect: str | None) -> RunContext:
        """The next batch."""
        now = utc_now()
        return RunContext(
            run_id=new_run_id(now),
            command=command,
            started_at=now,
            clock=time.monotonic(),
            configured=self.declared.configured,
            connection=self.connection,
            known=self.known,
            ahead=Warm(self.declared.plan),
            dialect=dialect,
            is_batch=True,
        )
