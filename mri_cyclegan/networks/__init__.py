"""Generators and discriminators: torch only."""
