"""Text that people write: TOML and CSV, with the line of every mistake, and words for mistakes."""
