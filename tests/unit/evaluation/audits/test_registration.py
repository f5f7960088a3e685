from dataclasses import replace

import numpy as np
import pytest

from mri_cyclegan.evaluation.audits.audit import Level
from mri_cyclegan.evaluation.audits.registration import assess_registration, measure_registration
from mri_cyclegan.evaluation.subjects.images import SubjectImages


def heads(moved):
    """A brain-sized ball of 1 mm voxels, and one that lies beside it, by mm."""
    axes = np.meshgrid(np.arange(3), np.arange(200) - 100, np.arange(200) - 100, indexing="ij")
    ball = [np.hypot(axes[1], axes[2] - shift) < 70 for shift in (0, moved)]
    image = np.zeros(ball[0].shape, np.float32)
    return SubjectImages("sub-01", image, image, image, ball[1], ball[0], (1.0, 1.0, 1.0))


def test_the_overlap_is_dice():
    images = heads(10)
    source, target = images.source_foreground, images.foreground
    expected = 2 * (source & target).sum() / (source.sum() + target.sum())
    assert measure_registration(images) == {"subject": "sub-01", "dice": pytest.approx(expected)}


@pytest.mark.parametrize(("moved", "level"), [(0, Level.GREEN), (3, Level.GREEN), (12, Level.AMBER), (25, Level.RED)])
def test_heads_beside_each_other_are_seen(moved, level):
    audit = assess_registration([measure_registration(heads(0)), measure_registration(heads(moved))], "ab")
    assert audit.level == level


def test_the_worst_subject_decides_and_is_named():
    measured = [{"subject": "sub-01", "dice": 0.98}, {"subject": "sub-02", "dice": 0.7}]
    audit = assess_registration(measured, "ab")
    assert audit.level == Level.RED
    assert "worst 0.700 in sub-02" in audit.figure


def test_without_both_heads_there_is_nothing_to_compare():
    assert measure_registration(replace(heads(0), target=None)) == {}
    assert measure_registration(replace(heads(0), source_foreground=None)) == {}
    assert assess_registration([{}], "ab").level == Level.UNKNOWN
