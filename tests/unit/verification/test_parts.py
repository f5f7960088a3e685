"""Verify refuses a column of parts that training would refuse."""

import pytest
from bad_inputs.heads import write, write_bids

from mri_cyclegan.data.layouts import LayoutSettings
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.verification.data_set import verify

ROWS = ("sub-01\ttrain", "sub-02\ttrain", "sub-03\tval", "sub-04\ttest")


@pytest.fixture
def findings_with(tmp_path):
    """Findings about a data set with these rows in ``participants.tsv``."""

    def find(*rows, column="part"):
        write_bids(tmp_path / "data")
        table = "\n".join([f"participant_id\t{column}", *rows, ""])
        path = write(tmp_path / "data" / "participants.tsv", table.encode())
        verification = verify(tmp_path / "data", LayoutSettings("bids", ("T1w", "T2w")), ReadOptions(), 1)
        assert verification.split_column == column
        return path, verification.findings

    return find


def test_a_part_for_each_subject_is_no_finding(findings_with):
    _, findings = findings_with(*ROWS, "sub-04\ttest", "sub-99\ttrain")
    assert findings == []


def test_a_part_may_be_left_out_and_an_id_may_lack_its_prefix(findings_with):
    _, findings = findings_with("01\ttrain", "02\ttrain", "sub-03\tval", "04\tn/a")
    assert findings == []


@pytest.mark.parametrize(
    ("rows", "words"), [((*ROWS, "sub-04\ttrain"), "sub-04 has two rows"), (ROWS[:3], "no row for sub-04")]
)
def test_no_part_or_two_are_an_error(findings_with, rows, words):
    path, (finding,) = findings_with(*rows)
    assert (finding.severity, finding.path) == ("error", path)
    assert words in finding.problem
    assert "data.split_column=part" in finding.problem
