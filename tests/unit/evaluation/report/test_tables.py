import pytest
from report_example.evaluation import example_evaluation

from mri_cyclegan.evaluation.report.tables import flatten, format_number, scales_note, sorted_audits


@pytest.mark.parametrize(
    ("value", "digits", "signed", "text"),
    [
        (22.346, 2, False, "22.35"),
        (-0.1, 3, False, "−0.100"),
        (0.1, 1, True, "+0.1"),
        (-0.1, 1, True, "−0.1"),
        (-0.0001, 2, False, "0.00"),
        (0.0, 0, True, "0"),
        (None, 2, False, "–"),
    ],
)
def test_numbers_are_written_with_their_decimals_and_a_minus_sign(value, digits, signed, text):
    assert format_number(value, digits, signed) == text


def test_trouble_comes_first_and_equals_keep_their_order():
    levels = ["green", "unknown", "red", "amber", "red", "green"]
    evaluation = {"audits": [{"level": level, "name": str(place)} for place, level in enumerate(levels)]}
    assert [audit["name"] for audit in sorted_audits(evaluation)] == ["2", "4", "3", "1", "0", "5"]


def test_fewer_scales_are_told():
    evaluation = example_evaluation(3)
    assert scales_note(evaluation) == ""
    for subject in evaluation["subjects"]:
        subject["ways"]["ab"]["num_scales"] = 4
        subject["ways"]["ba"]["num_scales"] = 4
    assert "MS-SSIM has 4 scales instead of 5" in scales_note(evaluation)
    evaluation["subjects"][1]["ways"]["ab"]["num_scales"] = 2
    assert "MS-SSIM has 2 to 4 scales" in scales_note(evaluation)
    assert scales_note(example_evaluation(3, paired=False)) == ""


def test_everything_nested_gets_a_row_of_its_own():
    content = {
        "weights": "last",
        "model_sha256": {"ab": "12", "ba": "34"},
        "training": {"model": {"betas": [0.5, 0.999], "compile": False}, "tags": {}, "seed": None},
        "runs": [{"ab": "12"}, {"ab": "56"}],
    }
    assert flatten(content) == [
        ("weights", "last"),
        ("model_sha256.ab", "12"),
        ("model_sha256.ba", "34"),
        ("training.model.betas", "0.5, 0.999"),
        ("training.model.compile", "False"),
        ("training.tags", "–"),
        ("training.seed", "–"),
        ("runs", "ab 12, ab 56"),
    ]
