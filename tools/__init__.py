"""What makes pages of ``docs/`` and words of ``make``; not installed."""
