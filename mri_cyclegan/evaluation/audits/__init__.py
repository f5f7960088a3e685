"""Audits: checks for failures that good metrics can hide."""
