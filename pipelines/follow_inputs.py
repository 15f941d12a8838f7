"""An unbounded source of inputs: folders that are looked at again and again.

What a path means is decided by ``find.find_inputs``, as for ``v6share run``, so that private names
and half-written ones (``_*``, ``.*``, ``*.tmp``) are left out here, too.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import apache_beam as beam
from apache_beam.io.watch import PollFn, PollResult, Watch
from apache_beam.pvalue import PBegin, PCollection

from v6share.pipelines.find import find_inputs
from v6share.schemas.errors import UserError
from v6share.schemas.outcome import FoundInput

_LOG: Final = logging.getLogger(__name__)


class FollowInputs(beam.PTransform[PBegin, PCollection[FoundInput]]):
    """Give every flow file that paths mean as ``FoundInput``, now and whenever one comes.

    A file is given once for each size and time of change that a look has found, however old that
    time is: files often come with the times of where they were copied from. What has been given is
    kept in the state of the pipeline, which grows with every file. After a restart
    without that state everything is given again, which changes nothing but costs the counting.
    """

    def __init__(
        self, paths: Sequence[str], interval_seconds: float, excluded: Sequence[Path] = ()
    ) -> None:
        """Look at nothing yet.

        paths: files, folders or globs, from the root; each is looked at by one worker at a time.
        interval_seconds: between two looks, more than 0. excluded: folders that are never walked.
        Raises UserError for a path that is not absolute, or where there is no path.
        """
        super().__init__()
        if not paths:
            raise UserError("found no path, expected files, folders or globs to follow")
        if interval_seconds <= 0:
            raise UserError(f"found {interval_seconds} s between two looks, expected more than 0")
        for path in paths:
            if not Path(path).is_absolute():
                raise UserError(
                    f"{path}: found a relative path, expected one from the root: workers run in "
                    "another folder and would find nothing there"
                )
        self._paths = tuple(paths)
        self._interval_seconds = interval_seconds
        self._excluded = tuple(excluded)

    def expand(self, pipeline: PBegin) -> PCollection[FoundInput]:
        """Watch the paths."""
        watch = Watch(Look(self._excluded), self._interval_seconds, output_key_fn=_version)
        found: PCollection[FoundInput] = (
            pipeline
            | "Paths" >> beam.Create(self._paths)
            | "Look" >> watch
            | "DropPath" >> beam.Values()
            # Else the worker that looks at a path would have to count all that it finds there, and
            # would look again only afterwards.
            | "Share" >> beam.Reshuffle()
        )
        return found


class Look(PollFn):
    """One look at a path: the inputs that it means now. What is odd is logged once a worker."""

    def __init__(self, excluded: Sequence[Path]) -> None:
        """excluded: as for ``find_inputs``."""
        self._excluded = tuple(excluded)
        self._said = set[str]()

    def __call__(self, path: str) -> PollResult[FoundInput]:
        """Never raises UserError: what cannot be read now is looked at again at the next time."""
        try:
            inputs = find_inputs([path], self._excluded, self._warn).inputs
        except UserError as error:
            self._warn(str(error))
            inputs = ()
        return PollResult.incomplete(inputs)

    def _warn(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            _LOG.warning("%s", message)


def _version(found: FoundInput) -> tuple[str, int, int]:
    """What tells a file from what it was before; its type chooses a coder that is deterministic."""
    return found.path, found.size, found.mtime_ns
