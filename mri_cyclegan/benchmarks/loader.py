"""Part ``loader``: slices per second, and how long a device would wait for them."""

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mri_cyclegan.benchmarks.loader_candidates import Batches, candidates, write_volumes
from mri_cyclegan.benchmarks.loader_report import print_table, waiting_chart
from mri_cyclegan.benchmarks.measurement import machine, summarize
from mri_cyclegan.pictures import save_png

# Name of each ratio to its numerator and denominator.
RATIOS = {
    "raw": ("ours, raw from disk", "MONAI, raw from memory"),
    "augmented on the CPU": ("ours, augmented on the CPU", "MONAI, augmented"),
    "ours augmented on the device": ("ours, raw from disk", "MONAI, augmented"),
}

# Batches at the start of an epoch that do not count when waiting is measured: some are loaded in advance.
NUM_WARM_UP = 8

# Candidate to number of loader processes to the summary of its speeds.
Speeds = dict[str, dict[int, dict[str, float]]]


def benchmark_loader(
    output_dir: Path,
    image_size: int,
    batch_size: int,
    num_workers: Sequence[int],
    num_slices: int,
    repeats: int,
    device_step_ms: Sequence[float],
) -> dict[str, Any]:
    """Measure, write ``loader.json`` and ``loader.png``, and print a table.

    Args:
        output_dir: created if it does not exist.
        image_size: side of the square slices, in pixels.
        batch_size: slices of each contrast per batch.
        num_workers: numbers of loader processes to try.
        num_slices: slices on disk, half of them of each contrast.
        repeats: measured epochs, after one that is not measured.
        device_step_ms: assumed times of a device for one step.

    Returns:
        Content of ``loader.json``.

    Raises:
        ValueError: there are too few slices, repeats or numbers of loader processes.
    """
    _check(batch_size, num_workers, num_slices, repeats)
    output_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output_dir) as folder:
        volumes_a, volumes_b = (write_volumes(Path(folder), name, num_slices // 2, image_size) for name in "ab")
        makers = candidates(volumes_a, volumes_b, batch_size)
        speeds = measure_speeds(makers, num_workers, 2 * (num_slices // 2), repeats)
        best = {name: max(of, key=lambda number: of[number]["median"]) for name, of in speeds.items()}
        waiting = {name: measure_waiting(make(best[name]), device_step_ms) for name, make in makers.items()}
    fastest = {name: speeds[name][number]["median"] for name, number in best.items()}
    result = {
        "part": "loader",
        "settings": {
            "image_size": image_size,
            "batch_size": batch_size,
            "num_slices": num_slices,
            "repeats": repeats,
            "device_step_ms": list(device_step_ms),
        },
        "machine": machine(),
        "slices_per_s": speeds,
        "best_num_workers": best,
        "ratios": {name: fastest[ours] / fastest[theirs] for name, (ours, theirs) in RATIOS.items()},
        "waiting_share": waiting,
    }
    (output_dir / "loader.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    save_png(waiting_chart(result), output_dir / "loader.png")
    print_table(result, output_dir)
    return result


def _check(batch_size: int, num_workers: Sequence[int], num_slices: int, repeats: int) -> None:
    needed = 2 * batch_size * (NUM_WARM_UP + 2)
    if num_slices < needed:
        raise ValueError(
            f"loader.num_slices: expected at least {needed} for loader.batch_size={batch_size}, got {num_slices}."
        )
    if repeats < 1 or not num_workers:
        given = f"{repeats} and {list(num_workers)}"
        raise ValueError(f"loader.repeats, loader.num_workers: expected at least one, got {given}.")


def measure_speeds(
    makers: Mapping[str, Callable[[int], Batches]], num_workers: Sequence[int], num_slices: int, repeats: int
) -> Speeds:
    """Slices per second of each candidate with each number of loader processes."""
    speeds: Speeds = {name: {} for name in makers}
    for number in num_workers:
        epochs_s = measure_epochs({name: make(number) for name, make in makers.items()}, repeats)
        for name, of in epochs_s.items():
            speeds[name][number] = summarize([num_slices / epoch_s for epoch_s in of])
    return speeds


def measure_epochs(found: Mapping[str, Batches], repeats: int) -> dict[str, list[float]]:
    """Seconds per epoch of each candidate, from requesting the first batch to the last one, without the first epoch.

    Candidates take turns, so that temporary load on the machine affects all of them.
    """
    epochs_s: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(repeats + 1):
        for name, batches in found.items():
            start = time.perf_counter()
            for _batch in batches():
                pass
            epochs_s[name].append(time.perf_counter() - start)
    return {name: measured[1:] for name, measured in epochs_s.items()}


def measure_waiting(batches: Batches, device_step_ms: Sequence[float]) -> list[float]:
    """:func:`waiting_share` for each step time."""
    return [waiting_share(batches, step_ms / 1000) for step_ms in device_step_ms]


def waiting_share(batches: Batches, step_s: float) -> float:
    """Share of an epoch that a device spends waiting for data, in [0, 1].

    A sleep stands for the device's step, since a device leaves the CPU to the loader.
    """
    waited_s, steps_s = 0.0, 0.0
    asked = time.perf_counter()
    for number, _ in enumerate(batches()):
        got = time.perf_counter()
        time.sleep(step_s)
        done = time.perf_counter()
        if number >= NUM_WARM_UP:
            waited_s, steps_s = waited_s + got - asked, steps_s + done - got
        asked = done
    return waited_s / (waited_s + steps_s)
