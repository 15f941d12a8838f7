"""What a run is to do, in a form that travels to any worker."""

from dataclasses import dataclass
from pathlib import Path

from v6share.schemas.fragment import RULES_VERSION, FragmentKey
from v6share.schemas.settings import Settings
from v6share.workspace.paths import Workspace


@dataclass(frozen=True)
class Work:
    """One run's work: small, and without secrets. Catalog and key are read where they are.

    dialect: forced, or None to recognise each file's.
    """

    workspace: Workspace
    run_id: str
    settings: Settings
    catalog_version: str
    threads: int
    dialect: str | None = None

    def key(self, input_id: str, dialect: str) -> FragmentKey:
        """Give the key of an input under this run's versions."""
        return FragmentKey(input_id, dialect, RULES_VERSION, self.catalog_version)

    def refusal_key(self, input_id: str) -> FragmentKey:
        """Give what a refusal of an input is bound to: with another ``--dialect`` it may count."""
        return self.key(input_id, self.dialect or "")

    @property
    def outcomes(self) -> Path:
        """Where the workers of this run write what became of the inputs."""
        return self.workspace.outcomes / self.run_id
