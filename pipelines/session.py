"""One run in one process: everything that its parts hand on to each other.

The driver makes one and may begin early what takes long; a worker on another machine makes its
own and reads the plan from the workspace. Two sessions in one process share nothing.
"""

from collections.abc import Mapping, Sequence
from threading import Lock
from types import MappingProxyType

import pyarrow as pa

from v6share.pipelines.compile_plan import read_plan
from v6share.pipelines.crew import Crew
from v6share.pipelines.identity import Identities
from v6share.pipelines.kernels.plan import Plan
from v6share.pipelines.meter import Meter
from v6share.pipelines.work import Work
from v6share.schemas.fragment import FragmentKey
from v6share.schemas.outcome import FoundInput


class Session:
    """The compiled plan, the meter, and what was begun ahead of the run."""

    def __init__(
        self,
        work: Work,
        plan: Plan | None = None,
        identities: Identities | None = None,
        committed: Mapping[str, FragmentKey] = MappingProxyType({}),
    ) -> None:
        """Begin nothing yet.

        plan: None where it is to be read from the workspace. committed: the live version of each
        input, so that a copy is not counted again. It stays in this process: a worker elsewhere
        counts a copy anew and writes the same fragment, which the committer knows.
        """
        self.work = work
        self.meter = Meter()
        self._identities = identities or Identities()
        self._plan = plan
        self._committed = committed
        self._begun: Crew | None = None
        self._lock = Lock()

    def start_early(self, inputs: Sequence[FoundInput]) -> None:
        """Let a crew begin the first inputs, while the runner of the pipeline is still loading."""
        crew = self._new_crew()
        crew.submit_first(inputs)
        self._begun = crew

    def gather(self) -> Crew:
        """Give the crew that has begun, once; after that a new one each time.

        Raises CatalogError, and UserError where the catalog is no longer the run's.
        """
        with self._lock:
            crew, self._begun = self._begun, None
        return crew or self._new_crew()

    def close(self) -> None:
        """Stop a crew that nobody took, and give back the memory of plan and batches."""
        with self._lock:
            crew, self._begun, self._plan = self._begun, None, None
        if crew is not None:
            crew.stop()
        pa.default_memory_pool().release_unused()

    def _new_crew(self) -> Crew:
        with self._lock:
            if self._plan is None:
                self._plan = read_plan(self.work)
            plan = self._plan
        return Crew(self.work, plan, self.meter, self._identities, self._committed)
