"""Pure functions over Arrow and NumPy arrays. No Beam, no DuckDB, no files."""
