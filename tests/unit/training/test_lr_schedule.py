import pytest

from mri_cyclegan.training.lr_schedule import constant_then_linear


def test_the_documents_100_plus_100_epochs():
    factor = constant_then_linear(num_epochs=200, constant_share=0.5)
    assert all(factor(epoch) == 1.0 for epoch in range(100))
    falls = [factor(epoch) for epoch in range(99, 201)]
    steps = [before - after for before, after in zip(falls, falls[1:])]
    assert steps == pytest.approx([1 / 101] * 101)
    assert factor(199) > 0
    assert factor(200) == 0.0
    assert factor(10_000) == 0.0


def test_all_constant_and_all_falling():
    assert [constant_then_linear(3, 1.0)(epoch) for epoch in range(3)] == [1.0, 1.0, 1.0]
    assert [constant_then_linear(3, 0.0)(epoch) for epoch in range(3)] == pytest.approx([0.75, 0.5, 0.25])


def test_an_endless_training_and_a_bad_share_are_refused():
    with pytest.raises(ValueError, match=r"trainer\.max_epochs.*-1"):
        constant_then_linear(-1, 0.5)
    with pytest.raises(ValueError, match=r"model\.constant_share.*1\.5"):
        constant_then_linear(10, 1.5)
