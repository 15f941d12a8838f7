"""Where the inputs of a stream come from: landing folders, or files of outcomes.

From a folder, an input is counted here. A file of outcomes says what workers of a pipeline have
counted elsewhere (``pipelines/outcome_files.py``); here it is only committed.
"""

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from v6share.jobs.steps.count import count
from v6share.jobs.steps.run_context import RunContext
from v6share.jobs.terminal import messages
from v6share.pipelines.landing import Arrival, LandingFolders
from v6share.pipelines.outcome_files import OutcomeFile, distinct_outcomes, read_outcome_files
from v6share.schemas.outcome import FoundInput, Outcome
from v6share.warehouse.fragment_damage import find_damaged
from v6share.warehouse.ledger.known_inputs import KnownInputs
from v6share.warehouse.ledger.outcomes import Sorted
from v6share.warehouse.merge.read_fragments import source_of
from v6share.workspace import storage
from v6share.workspace.paths import Workspace

_SWEEP_SECONDS: Final = 60.0
# A file that is still being written is looked at again so soon; one that failed, at a sweep.
_BUSY_SECONDS: Final = 5.0


class Source(Protocol):
    """What a stream follows."""

    @property
    def described(self) -> str:
        """It, for people."""

    @property
    def arguments(self) -> str:
        """What a ``v6share run`` is given that counts the same files."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever there."""

    @property
    def has_left(self) -> bool:
        """Whether something stays there that cannot be committed."""

    def look(self, known: KnownInputs) -> list[Arrival]:
        """What waits there, the longest waiting first."""

    def outcomes(self, run: RunContext, batch: Sequence[Arrival]) -> list[Outcome]:
        """What became of the inputs of a batch."""

    def settle(self, batch: Sequence[Arrival], unsettled: dict[str, Outcome]) -> None:
        """Take note that a batch is committed, but for some inputs. unsettled: busy or failed, by
        path.
        """

    def changing(self, settled: Sequence[Arrival], result: Sorted) -> list[Arrival]:
        """What of a batch changed what is published: a copy does not, so it has no lag."""


class FolderSource:
    """Landing folders. Names are looked at each time, sizes and times of all files every minute."""

    def __init__(self, paths: Sequence[str], workspace: Workspace) -> None:
        """Look at nothing yet."""
        self._paths = paths
        excluded = (workspace.state, workspace.published.parent)
        self._folders = LandingFolders(paths, excluded, messages.warn)
        self._swept_at = -_SWEEP_SECONDS

    @property
    def described(self) -> str:
        """The paths."""
        return ", ".join(self._paths)

    @property
    def arguments(self) -> str:
        """The paths, for a shell."""
        return shlex.join(self._paths)

    @property
    def is_empty(self) -> bool:
        """Whether no flow file was ever there."""
        return self._folders.is_empty

    @property
    def has_left(self) -> bool:
        """Whether something cannot be read, or has a name that no ledger can hold.

        A file that is refused does not count: it is quarantined, and known from then on.
        """
        return bool(self._folders.closed)

    def look(self, known: KnownInputs) -> list[Arrival]:
        """The files that the ledger does not know as they are."""
        now = time.monotonic()
        is_sweep = now - self._swept_at >= _SWEEP_SECONDS
        if is_sweep:
            self._swept_at = now
        waiting = []
        for arrival in self._folders.sweep() if is_sweep else self._folders.poll():
            found = arrival.found
            if known.input_of(found.path, found.size, found.mtime_ns) is None:
                waiting.append(arrival)
            else:
                self._folders.settle(arrival)
        return waiting

    def outcomes(self, run: RunContext, batch: Sequence[Arrival]) -> list[Outcome]:
        """Count them."""
        return count(run, [one.found for one in batch])

    def settle(self, batch: Sequence[Arrival], unsettled: dict[str, Outcome]) -> None:
        """Pass over the files from now on, or have them come again."""
        for arrival in batch:
            left = unsettled.get(arrival.found.path)
            if left is None:
                self._folders.settle(arrival)
            else:
                is_busy = left.status == "busy"
                self._folders.retry(arrival, _BUSY_SECONDS if is_busy else _SWEEP_SECONDS)

    def changing(self, settled: Sequence[Arrival], result: Sorted) -> list[Arrival]:
        """Files whose content was committed or refused now."""
        new = {one.path for one in (*result.committed, *result.refused)}
        return [one for one in settled if one.found.path in new]


class OutcomeSource:
    """A folder of files of outcomes. A file is removed once all that it says is committed."""

    def __init__(self, folder: Path, workspace: Workspace) -> None:
        """Look at nothing yet."""
        self._folder = folder
        self._workspace = workspace
        self._files: dict[str, OutcomeFile] = {}
        # Files that stay where they are, and why, by name: as they cannot be read whole, which may
        # change, and as what they say cannot be committed.
        self._unread: dict[str, str] = {}
        self._left: dict[str, str] = {}
        self._left_at = 0.0

    @property
    def described(self) -> str:
        """The folder."""
        return f"the outcomes in {self._folder}"

    @property
    def arguments(self) -> str:
        """The flow files are the pipeline's business."""
        return "PATH"

    @property
    def is_empty(self) -> bool:
        """Never: that no worker has written anything yet is no mistake of the user."""
        return False

    @property
    def has_left(self) -> bool:
        """Whether there are files that say what cannot be committed, or cannot be read."""
        return bool(self._unread or self._left)

    def look(self, known: KnownInputs) -> list[Arrival]:  # noqa: ARG002 - as of every source
        """The files that are whole."""
        found = read_outcome_files(self._folder)
        unread = {str(path): reason for path, reason in found.refused}
        for name, reason in unread.items():
            if self._unread.get(name) != reason:
                _say_left(name, reason)
        self._unread = unread
        # The catalog that counts may be theirs by now, or the fragment have come.
        is_due = time.monotonic() - self._left_at >= _SWEEP_SECONDS
        if is_due:
            self._left_at = time.monotonic()
        self._files = {str(file.path): file for file in found.whole}
        arrivals = []
        for name in self._files:
            status = storage.status(Path(name))
            if status is not None and (is_due or name not in self._left):
                as_input = FoundInput(name, status.size, status.mtime_ns)
                arrivals.append(Arrival(as_input, name, status.mtime_ns))
        return arrivals

    def outcomes(self, run: RunContext, batch: Sequence[Arrival]) -> list[Outcome]:
        """What the files of a batch say, but for those that cannot be committed here."""
        files = []
        for arrival in batch:
            file = self._files[arrival.name]
            odd = self._odd_in(run, file)
            if not odd:
                self._left.pop(arrival.name, None)
                files.append(file)
            elif self._left.get(arrival.name) != odd:
                self._left[arrival.name] = odd
                _say_left(arrival.name, odd)
        return distinct_outcomes(files)

    def settle(self, batch: Sequence[Arrival], unsettled: dict[str, Outcome]) -> None:  # noqa: ARG002
        """Remove the files. What was busy or failed a ``run`` over the flow files finds."""
        for arrival in batch:
            if arrival.name not in self._left:
                storage.remove(Path(arrival.name))

    def changing(self, settled: Sequence[Arrival], result: Sorted) -> list[Arrival]:
        """All of them, where anything was committed or refused now."""
        return list(settled) if result.committed or result.refused else []

    def _odd_in(self, run: RunContext, file: OutcomeFile) -> str:
        """Why a file cannot be committed; empty where it can."""
        ours = (run.versions.rules_version, run.versions.catalog_version)
        sources = []
        for one in file.outcomes:
            if one.key is None:
                continue
            if (one.key.rules_version, one.key.catalog_version) != ours:
                return (
                    f"found {one.path} counted with another version of the rules or the catalog; "
                    "start the pipeline again, which counts with the present ones; this file is "
                    "taken once its version is the present one, else remove it"
                )
            if one.fragment is not None:
                sources.append(source_of(self._workspace, one.key, one.path, one.fragment))
        damaged = find_damaged(sources)
        if not damaged:
            return ""
        source = damaged[0].source
        return (
            f"the fragment of {source.path}, {source.file}, cannot be used: {damaged[0].problem}. "
            "Workers must write to this workspace; where it was damaged, `v6share run` over the "
            "flow file makes it again"
        )


def _say_left(name: str, reason: str) -> None:
    messages.warn(f"{name}: left where it is: {reason}", path=name)
