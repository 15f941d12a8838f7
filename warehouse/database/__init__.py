"""The DuckDB files: how they are opened, migrated, read and written."""
