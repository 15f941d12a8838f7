"""An expectation of one's own: flows come from our routers only.

Copy this file into ``quality/`` of a workspace, and name it in ``v6share.toml``::

    [quality]
    python = ["ours.py"]
"""

from great_expectations.expectations.core import ExpectColumnValuesToBeInSet

OURS = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]


class ExpectExportersOfOurs(ExpectColumnValuesToBeInSet):
    """No exporter is one that we do not know."""

    # What is written here is what the suite need not give.
    column: str = "exporter"
    value_set: list[str] = OURS  # type: ignore[assignment]
