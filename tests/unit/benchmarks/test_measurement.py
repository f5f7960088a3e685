import time
from functools import partial
from importlib.metadata import version

import pytest
import torch

from mri_cyclegan.benchmarks.measurement import machine, matrix_rate, seconds, summarize, take_turns

CPU = torch.device("cpu")


def test_contenders_take_turns():
    order = []

    def candidate(name):
        order.append(name)
        return len(order)

    found = take_turns({name: partial(candidate, name) for name in "ab"}, 3)
    assert order == ["a", "b"] * 3
    assert found == {"a": [1, 3, 5], "b": [2, 4, 6]}


def test_median_and_spread():
    assert summarize([3.0, 1.0, 9.0]) == {"median": 3.0, "min": 1.0, "max": 9.0}


def test_seconds_of_work():
    assert seconds(lambda: time.sleep(0.05), CPU) == pytest.approx(0.05, abs=0.04)


def test_a_matrix_product_is_counted_in_full():
    """The best of several turns each: the machine may do other work for a while."""
    one, other = torch.rand(2, 1024, 1024)
    found, expected = [], []
    for _ in range(4):
        expected.append(2 * 1024**3 / min(seconds(lambda: one @ other, CPU) for _ in range(5)))
        found.append(matrix_rate(CPU, torch.float32))
    assert max(found) == pytest.approx(max(expected), rel=0.8)


def test_the_machine_is_described():
    found = machine(CPU)
    assert found["device"] == "cpu"
    assert found["num_threads"] == torch.get_num_threads()
    assert found["versions"]["torch"] == version("torch")
