"""Loss functions: torch only."""
