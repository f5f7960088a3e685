from typing import get_args

import pytest

from mri_cyclegan.evaluation.audits.audit import Level
from mri_cyclegan.evaluation.audits.levels import highest_level, level_above
from mri_cyclegan.inference.description import AuditResult


@pytest.mark.parametrize(
    ("value", "level"), [(0.1, Level.GREEN), (0.2, Level.AMBER), (0.5, Level.AMBER), (0.6, Level.RED)]
)
def test_a_level_begins_above_its_threshold(value, level):
    assert level_above(value, amber=0.1, red=0.5) is level


def test_red_is_the_most_serious_and_what_is_unknown_is_not_green():
    assert highest_level(Level.AMBER, Level.RED, Level.GREEN, Level.UNKNOWN) is Level.RED
    assert highest_level(Level.UNKNOWN, Level.GREEN) is Level.UNKNOWN


def test_a_models_description_knows_the_same_levels():
    assert set(get_args(AuditResult.model_fields["level"].annotation)) == {level.value for level in Level}
