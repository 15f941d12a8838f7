"""Evidence: a few rows of what is about to be published, by which it is judged as plausible."""

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Evidence:
    """Rows of one kind of evidence. key: the columns that say which row one is, for people."""

    rows: pa.Table
    key: tuple[str, ...]
