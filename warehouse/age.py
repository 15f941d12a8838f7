"""How old the newest record is, by the clock: whether data still come."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import duckdb

# Clocks of exporters, collectors and this machine differ by so much, as for the reject ``future``.
_SLACK: Final = timedelta(minutes=10)
# The table, not the kept results: these are older than it until a job has brought them up to date.
_NEWEST: Final = """
    SELECT max(e.last_seen)
    FROM main.exporters_1h e
    LEFT JOIN main.dim_exporters d ON d.exporter = e.exporter
    WHERE e.last_seen <= $latest AND coalesce(d.vantage, 'unlisted') IN
      (SELECT v.vantage FROM main.dim_vantages v WHERE v.feeds_kpis)"""


@dataclass(frozen=True)
class DataAge:
    """The newest record of the exporters that feed the KPIs, and its age by the clock.

    newest: when it ended, UTC without zone; None where there is none. age: never below 0; None
    likewise.
    """

    newest: datetime | None = None
    age: timedelta | None = None

    def is_over(self, limit: timedelta) -> bool:
        """Whether the data are older than a limit; where there are none, they are."""
        return self.age is None or self.age > limit


def data_age(connection: duckdb.DuckDBPyConnection, now: datetime) -> DataAge:
    """The age of the data of a warehouse or a published file. now: with its zone.

    A record ahead of the clock comes from a wrong one, and says nothing of whether data still come.
    """
    moment = now.astimezone(UTC).replace(tzinfo=None)
    ((newest,),) = connection.execute(_NEWEST, {"latest": moment + _SLACK}).fetchall()
    if newest is None:
        return DataAge()
    return DataAge(newest, max(timedelta(0), moment - newest))
