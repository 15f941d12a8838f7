"""What a run begins before its turn: half of its start is waiting for single steps.

New inputs are hashed and the kernels loaded while the catalog is read; the prefixes are flattened
while the catalog's version is computed. Beam is imported last, for that takes longest, and the
first inputs are counted meanwhile (``Session.begin``).
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from v6share.jobs.terminal import messages
from v6share.pipelines import kernel_cache
from v6share.pipelines.identity import Identities
from v6share.schemas.errors import UserError
from v6share.schemas.outcome import FoundInput
from v6share.workspace.configured import Configured

if TYPE_CHECKING:
    from v6share.pipelines.kernels.plan import Plan


class HeadStart:
    """Threads that are ahead of one run. What was not begun in time is done at its turn."""

    def __init__(self, new: Sequence[FoundInput], hashes: bool) -> None:
        self.identities = Identities()
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="v6share-ahead")
        self._hashing = ThreadPoolExecutor(1, thread_name_prefix="v6share-hashing")
        self._new = bool(new)
        self._compiling: Future[Plan] | None = None
        if new:
            self._threads.submit(import_module, "v6share.pipelines.session")
            if hashes:
                self.identities.hash_early(new, self._hashing)

    def compile(self, configured: Configured) -> None:
        """Begin to compile the plan, if there is something to count with it."""
        if self._new:
            self._compiling = self._threads.submit(compile_now, configured)
            self._threads.submit(import_module, "v6share.pipelines.beam_pipeline")

    def plan(self, configured: Configured) -> "Plan":
        """Give the compiled plan, the same each time. Raises CatalogError."""
        if self._compiling is None:
            self._compiling = self._threads.submit(compile_now, configured)
        return self._compiling.result()

    def end(self) -> None:
        """Begin nothing more; what is under way ends by itself."""
        self._hashing.shutdown(wait=False, cancel_futures=True)
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class Warm:
    """What a batch of a stream has instead: the plan that was compiled before."""

    compiled: "Plan"
    identities: Identities = field(default_factory=Identities)

    def plan(self, configured: Configured) -> "Plan":  # noqa: ARG002 - as of a head start
        """Give the compiled plan."""
        return self.compiled


@contextmanager
def head_start(new: Sequence[FoundInput], *, hashes: bool) -> Iterator[HeadStart]:
    """Be ahead of a run over these new inputs while the block lasts. Without any, begin nothing.

    hashes: whether all of them are sure to be counted, and so to be hashed.
    """
    if new:
        say_if_cold()
    ahead = HeadStart(new, hashes)
    try:
        yield ahead
    finally:
        ahead.end()


def say_if_cold() -> None:
    """Say that this job compiles the kernels, where it does: the first after an installation, and
    each where others may write to the place of kept ones.

    Loads nothing heavy. Raises UserError where compiled kernels cannot be kept.
    """
    distrusted = kernel_cache.why_distrusted()
    if distrusted:
        messages.warn(
            f"{distrusted}. Kept kernels are code, so those in {kernel_cache.kernel_cache()} are "
            "not used, and this process compiles its own, which takes up to a minute. Remove that "
            "folder and let nobody else write to its place, or set NUMBA_CACHE_DIR to a folder of "
            "your own"
        )
    elif kernel_cache.is_cold():
        if not kernel_cache.can_be_kept():
            raise UserError(
                f"{kernel_cache.kernel_cache()}: cannot be written, and compiled kernels are "
                "kept there; set NUMBA_CACHE_DIR to a folder that this user may write, and nobody "
                "else"
            )
        messages.say("compiling the kernels, once after an installation; takes up to a minute")


def compile_now(configured: Configured) -> "Plan":
    """Compile the plan. Raises CatalogError."""
    from v6share.pipelines.compile_plan import compile_plan  # here: Numba takes a while to load

    return compile_plan(configured.catalog, configured.settings, configured.client_key)
