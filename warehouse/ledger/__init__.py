"""What came in and what became of it: the journal, and what it means for a run."""
