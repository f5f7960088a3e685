import json

import pytest
from scipy import stats

from mri_cyclegan.evaluation.comparison import compare, read_evaluation
from mri_cyclegan.evaluation.protocol import METRICS, PROTOCOL_VERSION


def content(values, hashes=None, **changes):
    """Content of metrics.json with the same value for every metric of a subject."""
    subjects = [
        {
            "subject": name,
            "session": "",
            "scan": name,
            "hashes": hashes or {"a": f"{name} a", "b": f"{name} b"},
            "ways": {"ab": {"metrics": {"M": {"foreground": dict.fromkeys(METRICS, value)}}}},
        }
        for name, value in values.items()
    ]
    whole = {"protocol_version": PROTOCOL_VERSION, "method": "M", "directions": {"ab": ["T1w", "T2w"]}}
    return whole | {"subjects": subjects} | changes


FIRST = {f"sub-{number}": 0.5 + 0.01 * number for number in range(10)}
SECOND = {name: value + 0.1 + 0.02 * (number % 3) for number, (name, value) in enumerate(FIRST.items())}


def test_differences_are_paired_by_subject_whatever_their_order():
    backwards = dict(reversed(SECOND.items()))
    result = compare(content(FIRST), content(backwards))["ab"]["ssim"]
    differences = [SECOND[name] - FIRST[name] for name in FIRST]
    assert result["mean"] == pytest.approx(sum(differences) / 10)
    assert result["low"] < result["mean"] < result["high"]
    assert result["p_value"] == pytest.approx(stats.wilcoxon(differences).pvalue)
    assert result["second"] - result["first"] == pytest.approx(result["mean"])
    assert result["num_subjects"] == 10


def test_an_evaluation_from_before_a_metric_was_added_is_compared_in_the_others(monkeypatch, tmp_path):
    added = {name: {} for name in METRICS}
    old, new = content(FIRST, metrics={"psnr": {}, "ssim": {}}), content(SECOND, metrics=added)
    for subject in old["subjects"]:
        del subject["ways"]["ab"]["metrics"]["M"]["foreground"]["nmi"]
    assert list(compare(old, new)["ab"]) == list(compare(new, old)["ab"]) == ["psnr", "ssim"]
    (tmp_path / "metrics.json").write_text(
        json.dumps(old | {"summary": {"ab": {}}, "part": "test", "provenance": {}, "resampled_targets": False})
    )
    assert read_evaluation(tmp_path)["metrics"].keys() == {"psnr", "ssim"}


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


def visits(*values):
    """Content of metrics.json with two subjects, the first of them with several visits."""
    found = [content({"sub-1": value})["subjects"][0] | {"session": f"ses-{n}"} for n, value in enumerate(values)]
    return content({"sub-2": 0.5}) | {"subjects": found + content({"sub-2": 0.5})["subjects"]}


def test_visits_of_a_subject_are_averaged_first():
    """The subject's mean difference is 0.3; the other's is 0."""
    result = compare(visits(0.1, 0.2, 0.3), visits(0.3, 0.5, 0.7))["ab"]["psnr"]
    assert result["num_subjects"] == 2
    assert result["mean"] == pytest.approx((0.3 + 0) / 2)
    assert result["first"] == pytest.approx((0.2 + 0.5) / 2)


def test_visits_and_scans_are_matched_by_name():
    first, second = visits(0.1, 0.2), visits(0.1, 0.2)
    second["subjects"][1]["session"] = "ses-9"
    with pytest.raises(ValueError, match="only in the first ses-1 sub-1; only in the second ses-9 sub-1"):
        compare(first, second)
    second["subjects"][1] |= {"session": "ses-1", "scan": "run-2"}
    with pytest.raises(ValueError, match="only in the second sub-1 ses-1 run-2"):
        compare(first, second)


def test_other_images_under_the_same_names_are_refused():
    other = content(SECOND)
    other["subjects"][4]["hashes"] = {"a": "sub-4 a", "b": "another"}
    with pytest.raises(ValueError, match=r"Not the same images.*: sub-4\. Evaluate both"):
        compare(content(FIRST), other)


def test_an_evaluation_without_names_of_scans_can_be_compared():
    first, second = content(FIRST), content(SECOND)
    for subject in (*first["subjects"], *second["subjects"]):
        del subject["scan"], subject["hashes"]
    assert compare(first, second)["ab"]["ssim"]["num_subjects"] == 10


def written(**changes):
    """A whole metrics.json."""
    means = {"M": {"foreground": {name: {"mean": 0.5} for name in METRICS}}}
    whole = {"protocol_version": PROTOCOL_VERSION, "part": "test", "resampled_targets": False, "provenance": {}}
    return content({"sub-1": 0.5}) | whole | {"summary": {"ab": means}} | changes


def test_a_whole_evaluation_is_read(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(written()))
    assert read_evaluation(tmp_path) == written()


NAN = float("nan")


@pytest.mark.parametrize(
    "changed",
    [
        None,
        [],
        *({key: value for key, value in written().items() if key != missing} for missing in written()),
        written(directions=["ab"]),
        written(directions={"ab": [1, 2]}),
        written(directions={"ba": ["T2w", "T1w"]}),
        written(method=["M"]),
        written(method="N"),
        written(subjects=None),
        written(subjects=["sub-1"]),
        written(subjects=[written()["subjects"][0] | {"subject": 3}]),
        written(subjects=[written()["subjects"][0] | {"ways": None}]),
        written(subjects=content({"sub-1": NAN})["subjects"]),
        written(subjects=content({"sub-1": "high"})["subjects"]),
        written(summary=None),
        written(summary={"ab": {"M": {"foreground": {name: {"mean": NAN} for name in METRICS}}}}),
        written(part=["test"]),
        written(provenance=None),
    ],
)
def test_a_damaged_evaluation_is_refused_by_name(tmp_path, changed):
    (tmp_path / "metrics.json").write_text(json.dumps(changed))
    with pytest.raises(ValueError, match=r"metrics\.json: .*Evaluate the run again"):
        read_evaluation(tmp_path)


def test_an_evaluation_must_be_there_and_of_this_protocol(tmp_path):
    with pytest.raises(ValueError, match=r"metrics\.json.*Evaluate the run first"):
        read_evaluation(tmp_path)
    (tmp_path / "metrics.json").write_text(json.dumps({"protocol_version": PROTOCOL_VERSION + 1}))
    with pytest.raises(ValueError, match="protocol version"):
        read_evaluation(tmp_path)


def test_an_evaluation_of_an_older_protocol_is_read_but_not_compared_with_another(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(written(protocol_version=1)))
    older = read_evaluation(tmp_path)
    assert older["protocol_version"] == 1
    assert compare(older, older)["ab"]["ssim"]["mean"] == 0
    with pytest.raises(ValueError, match="Not the same protocol: versions 1 and 2. Evaluate both again"):
        compare(older, written())
