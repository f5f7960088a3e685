import math

import pytest

from mri_cyclegan.training.lr_schedule import SCHEDULES, constant_then_falling


def test_the_documents_100_plus_100_epochs():
    factor = constant_then_falling(num_epochs=200, constant_share=0.5, schedule="linear")
    assert all(factor(epoch) == 1.0 for epoch in range(100))
    falls = [factor(epoch) for epoch in range(99, 201)]
    steps = [before - after for before, after in zip(falls, falls[1:])]
    assert steps == pytest.approx([1 / 101] * 101)
    assert factor(199) > 0
    assert factor(200) == 0.0
    assert factor(10_000) == 0.0


def test_half_a_cosine():
    factor = constant_then_falling(num_epochs=20, constant_share=0.25, schedule="cosine")
    assert all(factor(epoch) == 1.0 for epoch in range(5))
    expected = [(1 + math.cos(math.pi * number / 16)) / 2 for number in range(1, 16)]
    assert [factor(epoch) for epoch in range(5, 20)] == pytest.approx(expected)
    assert factor(20) == factor(500) == 0.0


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_all_constant(schedule):
    assert [constant_then_falling(3, 1.0, schedule)(epoch) for epoch in range(3)] == [1.0, 1.0, 1.0]


def test_all_falling():
    assert [constant_then_falling(3, 0.0, "linear")(epoch) for epoch in range(3)] == pytest.approx([0.75, 0.5, 0.25])


def test_an_endless_training_and_bad_settings_are_refused():
    with pytest.raises(ValueError, match=r"trainer\.max_epochs.*-1"):
        constant_then_falling(-1, 0.5, "linear")
    with pytest.raises(ValueError, match=r"optimization\.constant_share.*1\.5"):
        constant_then_falling(10, 1.5, "linear")
    with pytest.raises(ValueError, match=r"optimization\.schedule: expected one of linear, cosine, got 'step'"):
        constant_then_falling(10, 0.5, "step")
