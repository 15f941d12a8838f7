"""What the published file holds beside the views: the tables, and the row that says what it is."""

from typing import Final

from v6share.schemas.aggregates import AGGREGATES
from v6share.schemas.columns import Column, Kind, Table
from v6share.schemas.dimensions import DIMENSIONS
from v6share.schemas.ledger import LEDGERS

PUBLIC_TABLES: Final = (*AGGREGATES, *LEDGERS, *DIMENSIONS)

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
    ),
)
