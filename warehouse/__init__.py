"""The DuckDB warehouse: ledger, commit, publish, typed reads. The only room that imports duckdb."""
