import numpy as np
import pytest

from mri_cyclegan.evaluation.evenly_spaced import evenly_spaced


@pytest.mark.parametrize(("length", "most"), [(0, 5), (1, 5), (5, 5), (6, 5), (169, 16), (1000, 50)])
def test_positions_rise_from_the_first_to_the_last(length, most):
    positions = evenly_spaced(length, most)
    assert len(positions) == min(length, most)
    steps = np.diff(positions)
    assert (steps >= 1).all()
    assert length < 2 or (positions[0], positions[-1]) == (0, length - 1)
    assert len(steps) == 0 or steps.max() - steps.min() <= 1
