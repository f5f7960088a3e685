"""Parallel map over files, in several processes."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError
from rich.progress import track

from mri_cyclegan.distributed import exit_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")

MAX_PROCESSES = 8


def available_processes(num_processes: int | None) -> int:
    """Number of processes to use: ``num_processes`` if given, else one per available core, at most eight.

    Raises:
        ValueError: ``num_processes`` is under 1.
    """
    if num_processes is not None and num_processes < 1:
        raise ValueError(f"data.num_processes: expected at least 1, or null; got {num_processes}.")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return num_processes or min(MAX_PROCESSES, cores)


def map_in_processes(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    num_processes: int,
    description: str,
    on_killed_worker: Callable[[Item], Result],
) -> list[Result]:
    """Apply a function to items in parallel, with a progress bar; results keep the order of the items.

    Args:
        function: takes one item; must be importable, as it runs in other processes.
        items: its arguments.
        num_processes: 1 runs everything in this process.
        description: label of the progress bar.
        on_killed_worker: result for an item whose process was killed, e.g. by the kernel when memory runs out.
    """
    bar = track(
        _results(function, items, num_processes, on_killed_worker), description, total=len(items), transient=True
    )
    return list(bar)


def _results(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    num_processes: int,
    on_killed_worker: Callable[[Item], Result],
) -> Iterator[Result]:
    if num_processes == 1 or len(items) < 2:
        yield from map(function, items)
        return
    num_done = 0
    function = partial(_in_worker, function, os.getpid())
    try:
        workers = Parallel(n_jobs=num_processes, return_as="generator", pre_dispatch="2*n_jobs", batch_size=1)
        for result in workers(delayed(function)(item) for item in items):
            num_done += 1
            yield result
    except TerminatedWorkerError:
        # joblib does not say which item killed its worker, so each remaining item gets a process of its own.
        for item in items[num_done:]:
            try:
                yield from Parallel(n_jobs=2)([delayed(function)(item)])
            except TerminatedWorkerError:
                yield on_killed_worker(item)


def _in_worker(function: Callable[[Item], Result], parent: int, item: Item) -> Result:
    """Run ``function`` in a worker that exits with its parent; joblib's would outlive a killed parent."""
    exit_with_parent(parent)
    return function(item)
