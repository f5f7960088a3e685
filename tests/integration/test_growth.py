"""What a batch costs does not depend on how many slices there are."""

import os
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter

import pytest

from mri_cyclegan.benchmarks.loader_candidates import write_volumes
from mri_cyclegan.data.datasets import UnpairedSlices, training_loader
from mri_cyclegan.data.matching import Matching

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc"),
]


def used_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.parametrize("match", ["none", "position"])
def test_a_hundred_thousand_slices(tmp_path, match):
    """1,000 slices beside 100,000 of 16x16: a batch, the start of an epoch, and memory."""
    batch_s, first_s, grown_mib = {}, {}, {}
    for number in (1_000, 100_000):
        volumes = [write_volumes(tmp_path / str(number), name, number // 2, 16) for name in "ab"]
        before = used_mib()
        slices = UnpairedSlices(*volumes, 0.0, (0.0, 1.0), Matching(match, 0.05), 0, None, seed=0)
        assert len(slices.slices_a) + len(slices.slices_b) == number
        loader = training_loader(slices, batch_size=4, num_workers=0, seed=0)
        times = []
        for epoch in range(3):
            loader.sampler.set_epoch(epoch)
            last = perf_counter()
            for _ in islice(loader, 100):
                times.append(perf_counter() - last)
                last = perf_counter()
        batch_s[number], first_s[number] = median(times), times[0]
        grown_mib[number] = used_mib() - before
    print(
        f"match={match}: a batch {1000 * batch_s[1_000]:.2f} ms of 1,000 slices, {1000 * batch_s[100_000]:.2f} ms of "
        f"100,000; first batch {first_s[100_000]:.2f} s; {grown_mib[100_000]:.0f} MiB more memory"
    )
    assert batch_s[100_000] < 1.5 * batch_s[1_000]
    assert first_s[100_000] < 2
    assert grown_mib[100_000] < 100
