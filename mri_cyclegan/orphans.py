"""Processes that do not outlive the one that started them."""

import os
import signal
import threading
import time

INTERVAL_S = 0.5

# Parents that this process is watching.
_watched: set[int] = set()


def end_with(parent: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Watch the parent from a thread, and send this process a signal when it is gone.

    A process that is killed takes none of its children along: they would go on, for nobody.

    Args:
        parent: number of the process that started this one; being gone already counts.
        number: what ends this process.
    """
    if parent not in _watched:
        _watched.add(parent)
        threading.Thread(target=_watch, args=(parent, number), daemon=True).start()


def _watch(parent: int, number: signal.Signals) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL_S)
    os.kill(os.getpid(), number)
