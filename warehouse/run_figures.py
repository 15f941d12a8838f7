"""What one run did, for its report."""

import pyarrow as pa

from v6share.warehouse.database.arrow import fetch_table
from v6share.warehouse.database.open import Connection


def rejects_of_run(connection: Connection, run_id: str) -> pa.Table:
    """Rejected rows of the inputs that a run committed, by reason, most first: reason, rows."""
    return fetch_table(
        connection,
        'SELECT r.reason, CAST(sum(r."rows") AS BIGINT) AS "rows" FROM rejects r '
        "JOIN ledger_files f USING (input_id) "
        "WHERE f.run_id = $run_id AND f.status = 'committed' "
        'GROUP BY r.reason ORDER BY "rows" DESC, r.reason',
        {"run_id": run_id},
    )
