"""Where things are in a workspace. Names only: nothing here touches the disk."""

from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Workspace:
    """One directory that holds everything of one installation.

    fragments_folder: the folder below ``state/`` that fragments are read from and written to.
    """

    root: Path
    fragments_folder: str = "fragments"

    @property
    def settings(self) -> Path:
        """``v6share.toml``, optional."""
        return self.root / "v6share.toml"

    @property
    def catalog(self) -> Path:
        """What the operator knows."""
        return self.root / "catalog"

    @property
    def quality(self) -> Path:
        """What the numbers are expected to look like, optional."""
        return self.root / "quality"

    @property
    def state(self) -> Path:
        """Everything private."""
        return self.root / "state"

    @property
    def warehouse(self) -> Path:
        """The private warehouse, one writer."""
        return self.state / "warehouse.duckdb"

    @property
    def fragments(self) -> Path:
        """Immutable aggregates per input."""
        return self.state / self.fragments_folder

    @property
    def recounting(self) -> "Workspace":
        """The same, with fragments apart from those that count: none of these is overwritten."""
        return replace(self, fragments_folder="recounted")

    def fragment(self, fragment_id: str) -> Path:
        """The file of one fragment."""
        return self.fragments / fragment_id[:2] / f"{fragment_id}.parquet"

    @property
    def bases(self) -> Path:
        """The sums of inputs whose fragments were pruned; one file counts, the newest."""
        return self.state / "bases"

    def base(self, run_id: str) -> Path:
        """The file of the base that a run made."""
        return self.bases / f"{run_id}.duckdb"

    @property
    def journal(self) -> Path:
        """What fragments cannot know, append only."""
        return self.state / "journal.jsonl"

    @property
    def client_key(self) -> Path:
        """The key of the client hash."""
        return self.state / "client.key"

    @property
    def quarantine(self) -> Path:
        """One JSON per refused input."""
        return self.state / "quarantine"

    @property
    def outcomes(self) -> Path:
        """Outcomes of the runs under way, one folder a run."""
        return self.state / "outcomes"

    @property
    def lock(self) -> Path:
        """Held by the one run that may write."""
        return self.state / "lock"

    @property
    def wanted(self) -> Path:
        """Held, by many at once, by those who wait for the lock."""
        return self.state / "wanted"

    @property
    def stream_lock(self) -> Path:
        """Held by the one stream, also while another command has its turn."""
        return self.state / "stream.lock"

    @property
    def stream_state(self) -> Path:
        """How the stream stands: lag, backlog, its last batch."""
        return self.state / "stream.json"

    @property
    def standby(self) -> Path:
        """The snapshot before the published one, which is brought up to date to follow it."""
        return self.root / "published" / ".standby.duckdb"

    @property
    def held_back(self) -> Path:
        """Why the published file misses something, for who reads it; mostly not there."""
        return self.root / "published" / "held_back.txt"

    @property
    def published(self) -> Path:
        """The snapshot that readers open."""
        return self.root / "published" / "v6share.duckdb"
