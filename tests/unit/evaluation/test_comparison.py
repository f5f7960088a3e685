import json

import pytest
from scipy import stats

from mri_cyclegan.evaluation.comparison import compare, read_evaluation
from mri_cyclegan.evaluation.protocol import METRICS, PROTOCOL_VERSION


def content(values, **changes):
    """Content of metrics.json with the same value for every metric of a subject."""
    subjects = [
        {
            "subject": name,
            "session": "",
            "ways": {"ab": {"metrics": {"M": {"foreground": dict.fromkeys(METRICS, value)}}}},
        }
        for name, value in values.items()
    ]
    return {"method": "M", "directions": {"ab": ["T1w", "T2w"]}, "subjects": subjects} | changes


FIRST = {f"sub-{number}": 0.5 + 0.01 * number for number in range(10)}
SECOND = {name: value + 0.1 + 0.02 * (number % 3) for number, (name, value) in enumerate(FIRST.items())}


def test_differences_are_paired_by_subject_whatever_their_order():
    shuffled = dict(sorted(SECOND.items(), key=lambda item: hash(item[0])))
    result = compare(content(FIRST), content(shuffled))["ab"]["ssim"]
    differences = [SECOND[name] - FIRST[name] for name in FIRST]
    assert result["mean"] == pytest.approx(sum(differences) / 10)
    assert result["low"] < result["mean"] < result["high"]
    assert result["p_value"] == pytest.approx(stats.wilcoxon(differences).pvalue)
    assert result["second"] - result["first"] == pytest.approx(result["mean"])
    assert result["num_subjects"] == 10


def test_other_subjects_are_named():
    other = {**SECOND, "sub-99": 0.7}
    del other["sub-3"]
    with pytest.raises(ValueError, match=r"only in the first sub-3; only in the second sub-99.*--split, --data-root"):
        compare(content(FIRST), content(other))


def test_other_directions_or_no_pairs_are_refused():
    with pytest.raises(ValueError, match="Not the same directions"):
        compare(content(FIRST), content(SECOND, directions={"ab": ["T2w", "T1w"]}))
    with pytest.raises(ValueError, match="No pairs"):
        compare(content({}), content({}))


def test_two_visits_of_a_subject_are_two():
    visits = content({"sub-1": 0.5})
    visits["subjects"] *= 2
    assert compare(visits, visits)["ab"]["psnr"]["num_subjects"] == 2


def test_an_evaluation_must_be_there_and_of_this_protocol(tmp_path):
    with pytest.raises(ValueError, match=r"metrics\.json.*Evaluate the run first"):
        read_evaluation(tmp_path)
    (tmp_path / "metrics.json").write_text(json.dumps({"protocol_version": PROTOCOL_VERSION + 1}))
    with pytest.raises(ValueError, match="protocol version"):
        read_evaluation(tmp_path)
