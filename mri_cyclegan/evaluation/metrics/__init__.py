"""Metrics against the truth, against real scans, and against the spread of an ensemble."""
