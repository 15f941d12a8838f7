"""Names that are settled and are not in this version: whoever uses one has made no slip."""

from typing import Final

from v6share import __version__

COMMANDS: Final = ("convert", "stream", "backfill", "serve", "catalog")
RUNNERS: Final = ("prism", "flink", "dataflow", "spark")
VIEWS: Final = (
    "kpi_stage3_performance",
    "kpi_ipv6_only",
    "kpi_translation",
    "kpi_layers",
    "kpi_rdma",
    "kpi_srv6",
    "kpi_white_box",
)


def not_yet(name: str) -> str:
    """The sentence that says so."""
    return f"{name} is not in this version ({__version__}); it comes later"
