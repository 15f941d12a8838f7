"""What a run can begin before its turn: half of its start is waiting for single steps.

New inputs are hashed and the kernels loaded while the catalog is read; the prefixes are flattened
while the catalog's version is computed. Beam is imported last, for that takes longest, and the
first inputs are counted meanwhile (``crew_ahead``).
"""

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

from v6share.jobs.terminal import messages
from v6share.pipelines import kernels_are_cold, kernels_can_be_kept
from v6share.pipelines.identity import begin_identifying
from v6share.schemas.errors import UserError
from v6share.schemas.outcome import FoundInput
from v6share.workspace.configured import Configured

# Beam's clients of MongoDB and BigQuery, and with the latter those of all other Google services and
# of sources in other languages: a third of its import, and no flow file is read with them.
_NEVER_READ: Final = ("pymongo", "apache_beam.io.gcp.bigquery")


class Ahead:
    """The threads that are ahead of the run. Whatever was not begun in time is done as ever."""

    def __init__(self, new: Sequence[FoundInput], hashes: bool) -> None:
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="v6share-ahead")
        self._hashing = ThreadPoolExecutor(1, thread_name_prefix="v6share-hashing")
        self._new = bool(new)
        self._compiling: Future[Any] | None = None
        if new:
            self._threads.submit(import_module, "v6share.pipelines.crew")
            if hashes:
                begin_identifying(new, self._hashing)

    def compile(self, configured: Configured) -> None:
        """Begin to compile the catalog, if there is something to count with it."""
        if self._new:
            self._compiling = self._threads.submit(_compile, configured)
            self._threads.submit(load_pipeline)

    def plan(self, configured: Configured) -> Any:
        """Give the compiled catalog. Raises CatalogError."""
        begun, self._compiling = self._compiling, None
        return _compile(configured) if begun is None else begun.result()

    def end(self) -> None:
        """Begin nothing more; what is under way ends by itself."""
        self._hashing.shutdown(wait=False, cancel_futures=True)
        self._threads.shutdown(wait=False, cancel_futures=True)


def load_pipeline() -> None:
    """Import Beam, as it is where its optional clients are not installed."""
    modules: dict[str, Any] = sys.modules
    absent = [name for name in _NEVER_READ if name not in modules]
    modules.update(dict.fromkeys(absent))  # to import None is an ImportError
    try:
        import_module("v6share.pipelines.batch")
    finally:
        for name in absent:
            modules.pop(name, None)


def _compile(configured: Configured) -> Any:
    from v6share.pipelines.work import compile_plan  # here: Numba takes a while to load

    return compile_plan(configured.catalog, configured.settings, configured.client_key)


@contextmanager
def ahead_of(new: Sequence[FoundInput], *, hashes: bool) -> Iterator[Ahead]:
    """Be ahead of a run over these new inputs; without any, nothing is begun.

    hashes: whether all of them are sure to be counted, and so to be hashed.
    """
    ahead = Ahead(new, hashes)
    try:
        yield ahead
    finally:
        ahead.end()


def say_if_cold() -> None:
    """Say so where it is so; loads nothing heavy. Raises UserError where they cannot be kept."""
    if kernels_are_cold():
        if not kernels_can_be_kept():
            raise UserError(
                f"{os.environ['NUMBA_CACHE_DIR']}: cannot be written, and compiled kernels are "
                "kept there; set NUMBA_CACHE_DIR to a folder that this user may write, and nobody "
                "else"
            )
        messages.say("compiling the kernels, once after an installation; takes up to a minute")
