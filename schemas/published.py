"""What the published file holds beside the views: the tables, and the row that says what it is."""

from typing import Final

from v6share.schemas.aggregates import AGGREGATES, CLIENT_COUNTS_1D
from v6share.schemas.columns import Column, Kind, Table
from v6share.schemas.dimensions import DIMENSIONS
from v6share.schemas.ledger import LEDGERS

CHECKS: Final = Table(
    "checks",
    "What was checked before this file was published.",
    (
        Column("name", Kind.TEXT, "the check; an expectation of the gate is suite.expectation"),
        Column("kind", Kind.TEXT, "invariant: holds by construction; plausibility: is expected"),
        Column("severity", Kind.TEXT, "fail: keeps the numbers from being published; or warn"),
        Column("what", Kind.TEXT, "what holds where all is well"),
    ),
)

CHECK_RESULTS: Final = Table(
    "check_results",
    "What the checks found before this file was published: one row for each of them.",
    (
        Column("run_id", Kind.TEXT, "the newest run then; empty before any"),
        Column("name", Kind.TEXT, "as in checks"),
        Column("checked_at", Kind.TIMESTAMP, "when the file was checked, UTC"),
        Column("outcome", Kind.TEXT, "ok, warning, or not judged where there was nothing to judge"),
        Column(
            "judged",
            Kind.BIGINT,
            "rows that an expectation looked at; NULL for an invariant",
            "rows",
            nullable=True,
        ),
        Column("found", Kind.BIGINT, "rows that are not as they should be", "rows"),
        Column("example", Kind.TEXT, "one of them, in words; empty where there is none"),
    ),
)

PUBLIC_TABLES: Final = (
    *AGGREGATES,
    CLIENT_COUNTS_1D,
    *LEDGERS,
    *DIMENSIONS,
    CHECKS,
    CHECK_RESULTS,
)

# In the schema ``results``.
SNAPSHOT: Final = Table(
    "snapshot",
    "What this file is; one row.",
    (
        Column("snapshot_id", Kind.TEXT, "id of the snapshot: when it was made and a random part"),
        Column("created_at", Kind.TIMESTAMP, "when it was made, UTC"),
        Column("as_of", Kind.DATE, "the last final day in the data", nullable=True),
        Column("code_version", Kind.TEXT, "version of v6share that made it"),
        Column("rules_version", Kind.BIGINT, "version of the classification rules"),
        Column(
            "catalog_version",
            Kind.TEXT,
            "hash of the catalog parts that alter rows, as the newest run had it; empty before any",
        ),
        Column("schema_version", Kind.BIGINT, "version of tables and views"),
        Column(
            "checks_failed",
            Kind.BIGINT,
            "checks that failed; with any it had not been published",
            "checks",
        ),
        Column("checks_warned", Kind.BIGINT, "checks that found something to look at", "checks"),
        Column(
            "gate", Kind.TEXT, "how many expectations were met; not run where --no-gate was given"
        ),
    ),
)
