"""Translate scans with trained models."""
