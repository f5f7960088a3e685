"""Memory of this process."""

import resource
import sys


def peak_memory_bytes() -> int:
    """Largest resident set size of this process so far, without its children."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
