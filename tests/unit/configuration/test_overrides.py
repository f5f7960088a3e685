import random

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from mri_cyclegan.configuration.literal_overrides import literal_overrides
from mri_cyclegan.configuration.quoting import quote_value
from mri_cyclegan.configuration.schema import CONF_DIR, register
from mri_cyclegan.configuration.suggestions import suggestions_for


def test_what_is_quoted_is_read_as_it_was():
    draw = random.Random(0)
    for _ in range(300):
        text = "".join(draw.choice("ab\\\\\"'${}() ü,=#~[]\t") for _ in range(draw.randint(1, 8)))
        value = OverridesParser.create().parse_override(f"key={quote_value(text)}").value()
        assert OmegaConf.create({"key": value}).key == text


@pytest.mark.parametrize(
    "value",
    [r"(sub-\d+)", r"^(sub-[0-9]+)_\w+$", "/scans/Müller", "/scans/data (1)", "~/scans", "/a=b", "/my #1 set", "/it's"],
)
def test_a_value_that_can_only_mean_itself_needs_no_quotes(value):
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = compose("train", ["+experiment=demo", "data=folder", "data.root=/x", f"data.subject_pattern={value}"])
    assert config.data.subject_pattern == value


@pytest.mark.parametrize(
    "override",
    [
        "seed=1,2",
        "a=choice(1,2",
        "a=[T1,T2",
        "a={b:1",
        'a="b',
        "a=${seed}",
        "a=${seed",
        "a=(b),(c)",
        "+a=b",
        "~a",
        "(a",
    ],
)
def test_what_may_mean_more_is_left_to_the_grammar(override):
    assert literal_overrides([override]) == [override]


def test_a_value_that_is_left_unreadable_is_told_with_its_quotes():
    lines = suggestions_for([r"data.subject_pattern=[a-z]+\d", "data.contrasts=[PD,FLAIR]", "seed=(1)"])
    assert lines == [
        "data.subject_pattern: Hydra cannot read this value. If it is text, write 'data.subject_pattern=\"[a-z]+\\d\"'"
    ]
