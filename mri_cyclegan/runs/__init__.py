"""One run from start to end: its folder, records, messages and results."""
