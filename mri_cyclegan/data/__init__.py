"""Scan files in, tensors out."""
