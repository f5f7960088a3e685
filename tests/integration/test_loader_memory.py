"""Memory of the loader over many epochs."""

import multiprocessing
import os
import re
from pathlib import Path

import pytest

from mri_cyclegan.benchmarks.loader_candidates import our_batches, write_volumes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux's /proc"),
]

NUM_EPOCHS = 50


def used_mib(folder: Path) -> float:
    """Proportional memory of this process and its children: what they share is counted once.

    Mapped files outside the folder are left out: they are installed software, whose share changes with what else runs
    on the machine.
    """
    total = 0
    for process in (os.getpid(), *(child.pid for child in multiprocessing.active_children())):
        counts = True
        for line in Path(f"/proc/{process}/smaps").read_text().splitlines():
            if re.match(r"[0-9a-f]+-", line):
                path = re.search("/.*", line)
                counts = path is None or path.group().startswith((str(folder), "/dev/shm"))
            elif counts and line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


@pytest.mark.parametrize("num_workers", [0, 2])
def test_memory_does_not_grow_with_epochs(tmp_path, num_workers, record_property):
    """Peaks of 50 epochs over 600 slices of 128x128, 37 MiB, augmented on the CPU."""
    volumes = [write_volumes(tmp_path, name, 300, 128) for name in "ab"]
    batches = our_batches(*volumes, batch_size=4, augment=True, num_workers=num_workers)
    peaks = [
        max(used_mib(tmp_path) for number, _ in enumerate(batches()) if number % 25 == 0) for _ in range(NUM_EPOCHS)
    ]
    first, last = max(peaks[2:12]), max(peaks[-10:])
    print(f"num_workers={num_workers}: peak {max(peaks):.0f} MiB; epochs 3 to 12 {first:.0f}, last ten {last:.0f} MiB")
    record_property("peak_mib", max(peaks))
    assert last < first + 10
