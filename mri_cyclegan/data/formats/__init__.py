"""One file format a module: bytes in, checked volumes out."""
