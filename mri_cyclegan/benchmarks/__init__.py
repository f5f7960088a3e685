"""Speed benchmarks, compared with other implementations."""
