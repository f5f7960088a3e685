"""File formats of scans, one module each: bytes in, checked volumes out."""
