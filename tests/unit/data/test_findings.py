import pickle
from pathlib import Path

import pytest

from mri_cyclegan.data.findings import EmptyScan, Finding, UnfitData, UnfitFile


@pytest.mark.parametrize("kind", [UnfitFile, EmptyScan])
def test_a_refusal_says_file_problem_and_remedy_and_travels_between_processes(kind):
    error = kind(Path("/data/a.nii"), "is broken", "Mend it.")
    assert str(error) == "/data/a.nii: is broken. Mend it."
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is kind
    assert arrived.finding == error.finding
    assert error.finding.severity == ("warning" if kind is EmptyScan else "error")


def test_a_finding_survives_json():
    finding = Finding("warning", Path("/data/a.nii"), "is odd", "Look at it.")
    assert Finding.from_json(finding.as_json()) == finding
    assert isinstance(finding.as_json()["path"], str)


def test_one_message_lists_every_error_and_no_warning():
    findings = [Finding("warning", Path("a"), "odd", "Look."), *(Finding("error", Path(p), "bad", "Go.") for p in "cb")]
    error = UnfitData(findings, 7, "Repair them.")
    assert str(error).splitlines() == ["2 problems in 7 scans:", "- b: bad. Go.", "- c: bad. Go.", "Repair them."]
    assert [finding.path.name for finding in error.findings] == ["b", "c", "a"]
