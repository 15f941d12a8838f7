"""What a stream publishes, and when it checks: what changed with each batch, all now and then.

Where a check fails, nothing is published any more and files are committed as before. All is checked
again after the time of a full check, and where it passes then, publishing goes on.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Final

from v6share.jobs.steps.check_and_publish import (
    described,
    note_results,
    publish_checked,
    refresh_and_check,
)
from v6share.jobs.steps.gate import JobGate
from v6share.jobs.steps.phases import Phases
from v6share.jobs.steps.run_context import utc_now
from v6share.jobs.terminal import messages
from v6share.jobs.terminal.exit_codes import JobStopped
from v6share.pipelines.landing import Arrival, age_seconds
from v6share.warehouse.checks import CheckResult, note_checked_whole, run_checks_in_parts
from v6share.warehouse.database.connect import Connection
from v6share.warehouse.publish import drop_damaged, needs_publish
from v6share.warehouse.remedies import what_mends
from v6share.warehouse.said import warnings_to_say
from v6share.workspace.paths import Workspace

if TYPE_CHECKING:
    from v6share.pipelines.kernels.plan import Plan

_MINUTE: Final = 60.0


@dataclass
class Publisher:
    """Checks and publishes for a stream; ``connection`` changes when another command had its turn.

    held_back: the checks that fail, or empty. lag_seconds: from the arrival of a file to its
    publication, the longest of those that were last published; None before any.
    """

    workspace: Workspace
    connection: Connection
    gate: JobGate
    held_back: str = ""
    lag_seconds: float | None = None
    # Files that are committed and not published yet.
    unpublished: list[Arrival] = field(default_factory=list)
    # Whether what is published was published while files waited.
    owes_final_days: bool = False
    # When all was last checked, and whether anything was committed since that began; where it is
    # being checked now, what is left of that, and since when.
    checked_at: float = field(default_factory=time.monotonic)
    unchecked: bool = False
    parts: Iterator[list[CheckResult]] | None = None
    parts_began: datetime = field(default_factory=utc_now)
    # When to look again whether the gate can judge; never while it can.
    again_at: float = inf
    warned_of: set[str] = field(default_factory=set)

    def take(self, connection: Connection) -> None:
        """Go on with another connection, after another command had its turn.

        It published what was committed by then. Where the numbers were held back, it may have
        mended them: all is checked at once. A check of all that was under way begins again.
        """
        self.connection = connection
        self.unpublished = []
        if self.held_back:
            self.checked_at = -inf
        if self.parts is not None:
            self.parts, self.unchecked = None, True

    def note(self, committed: Sequence[Arrival]) -> None:
        """Take note of files that are committed now."""
        self.unpublished += committed
        self.unchecked = self.unchecked or bool(committed)

    def publish(
        self, phases: Phases, plan: "Callable[[], Plan] | None" = None, *, files_wait: bool = False
    ) -> bool:
        """Check what changed, and publish what readers do not see yet; whether it was.

        plan: gives that with which files were counted. files_wait: as for ``publish_checked``.
        """
        if self.held_back or not self._is_due(files_wait=files_wait):
            return False
        results = self._checked(trusts_commits=True, plan=plan, phases=phases)
        return self._publish_unless(results, phases, files_wait=files_wait)

    def check_some(self, every_minutes: int) -> None:
        """Where all is to be checked, check the next day: no file waits for a check of all."""
        if self.parts is None and self.is_check_due(every_minutes):
            if self.held_back:
                self.check_all()
                return
            self.unchecked = False
            self.parts, self.parts_began = run_checks_in_parts(self.connection), utc_now()
        if self.parts is None:
            return
        results = next(self.parts, None)
        if results is None:
            self.parts, self.checked_at = None, time.monotonic()
            note_checked_whole(self.connection, self.parts_began)
            drop_damaged(self.connection, self.workspace)
            messages.detail("all is checked", event="checked")
        elif any(result.blocks for result in results):
            self.parts, self.checked_at = None, time.monotonic()
            note_results(self.connection, self.workspace, utc_now(), results, whole=False)
            self._is_held_back(results)

    def is_check_due(self, every_minutes: int) -> bool:
        """Whether all is to be checked, also where nothing changed: a disk may be damaged."""
        now = time.monotonic()
        return now >= self.again_at or now - self.checked_at >= _MINUTE * every_minutes

    @property
    def is_anything_unchecked(self) -> bool:
        """Whether something was committed since all was checked, or that is not done yet."""
        return self.unchecked or self.parts is not None

    def check_all(self) -> None:
        """Check all at once; publish, again where it was held back, if all passes."""
        self.again_at = inf
        results = self._checked(whole=True)
        self.checked_at, self.unchecked, self.parts = time.monotonic(), False, None
        self._publish_unless(results)

    def _checked(
        self,
        *,
        whole: bool = False,
        trusts_commits: bool = False,
        plan: "Callable[[], Plan] | None" = None,
        phases: Phases | None = None,
    ) -> list[CheckResult] | None:
        """What ``refresh_and_check`` found; None where the gate could not judge.

        Files go on being counted then, and all is checked again after a minute.
        """
        try:
            return refresh_and_check(
                self.connection,
                self.workspace,
                self.gate,
                whole=whole,
                trusts_commits=trusts_commits,
                plan=plan,
                phases=phases,
            )
        except JobStopped as stopped:
            messages.fail(
                f"{stopped}; it is tried again in a minute, and files are counted as before"
            )
            self.held_back, self.again_at = "the gate could not judge", time.monotonic() + _MINUTE
            return None

    def _publish_unless(
        self,
        results: Sequence[CheckResult] | None,
        phases: Phases | None = None,
        *,
        files_wait: bool = False,
    ) -> bool:
        """Publish unless a check keeps it back; whether it was."""
        if (
            results is None
            or self._is_held_back(results)
            or not self._is_due(files_wait=files_wait)
        ):
            return False
        with (phases or Phases()).timed("publish"):
            publish_checked(self.connection, self.workspace, results, files_wait=files_wait)
        self.owes_final_days = files_wait
        now = time.time_ns()
        if self.unpublished:
            self.lag_seconds = round(max(age_seconds(one, now) for one in self.unpublished), 2)
            self.unpublished = []
        return True

    def _is_due(self, *, files_wait: bool) -> bool:
        """Whether readers lack something, or it was left open which days are final."""
        is_owed = self.owes_final_days and not files_wait
        return is_owed or needs_publish(self.connection, self.workspace)

    def _is_held_back(self, results: Sequence[CheckResult]) -> bool:
        """Say what the checks found, each warning once a day; whether the numbers are held back."""
        for result in warnings_to_say(self.connection, results):
            said = f"{utc_now():%F} {result.name}"
            if said not in self.warned_of:
                self.warned_of.add(said)
                messages.warn(described(result), check=result.name)
        failed = [result for result in results if result.blocks]
        for result in failed:
            messages.fail(described(result), check=result.name)
        if failed:
            messages.fail(
                f"{len(failed)} of {len(results)} checks failed: nothing is published from now on, "
                "files are counted and committed as before. `v6share check` shows the first rows; "
                f"{what_mends({result.suite for result in failed})}"
            )
        elif self.held_back:
            messages.say("all checks pass again; publishing goes on")
        self.held_back = ", ".join(result.name for result in failed)
        return bool(failed)
