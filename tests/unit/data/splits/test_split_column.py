"""Parts from a column of participants.tsv."""

import logging

import pytest

from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.splits.split import Split
from tests.unit.data.splits.split_cases import divided, paired, single, subjects


def by_column(tmp_path, table: str, scans: list[Scan], **changes) -> Split:
    (tmp_path / "participants.tsv").write_text(table, encoding="utf-8")
    return divided(scans, tmp_path / "participants.tsv", split_column="part", **changes)


def test_the_column_decides_who_is_where(tmp_path):
    scans = single(2, "T1w") + single(1, "T2w") + paired(2)
    table = (
        "participant_id\tage\tpart\nonly-T1w-0\t30\ttrain\nonly-T1w-1\t31\ttest\nonly-T2w-0\t32\ttrain\n"
        "pair-0\t33\tval\npair-1\t34\ttest\nwithout-scan\t35\ttrain\n"
    )
    split = by_column(tmp_path, table, scans)
    assert subjects(split.train_a) == {"only-T1w-0"}
    assert subjects(split.train_b) == {"only-T2w-0"}
    assert subjects(split.val) == {"pair-0"}
    assert subjects(split.test) == {"only-T1w-1", "pair-1"}


def test_a_byte_order_mark_before_the_table_does_not_matter(tmp_path):
    split = by_column(tmp_path, "\ufeffparticipant_id\tpart\npair-0\ttrain\npair-1\ttrain\n", paired(2))
    assert len(split.train_a) == len(split.train_b) == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_column_does_not_pair_the_training(tmp_path, seed):
    table = "participant_id\tpart\n" + "".join(f"pair-{number}\ttrain\n" for number in range(8))
    split = by_column(tmp_path, table, paired(8), split_seed=seed)
    assert split.subjects_in_both_domains() == []
    assert len(split.train_a) + len(split.train_b) == 8
    both = by_column(tmp_path, table, paired(8), split_seed=seed, allow_paired_subjects=True)
    assert len(both.subjects_in_both_domains()) == 8


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("participant_id\tpart\npair-0\ttrain\npair-1\tholdout\n", "column 'part' holds holdout; expected train"),
        ("participant_id\tage\npair-0\t1\npair-1\t2\n", "no column 'part'; it has participant_id, age"),
        ("participant_id\tpart\npair-0\ttrain\n", "no row for pair-1"),
        ("participant_id\tpart\n", "no row for pair-0, pair-1"),
        ("", "no column 'part'; it has none"),
        ("subject\tpart\npair-0\ttrain\npair-1\ttrain\n", "no column 'participant_id'"),
        ("participant_id\tpart\npair-0\ttrain\npair-1\tval\npair-1\ttest\n", "pair-1 has two rows, with val and test"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, table, message):
    with pytest.raises(ValueError) as caught:
        by_column(tmp_path, table, paired(2))
    assert str(caught.value).startswith(f"{tmp_path / 'participants.tsv'}: ")
    assert message in str(caught.value)


def test_a_missing_table_is_refused_with_the_key(tmp_path):
    with pytest.raises(ValueError, match=r"participants.tsv does not exist, but data\.split_column=part"):
        divided(paired(2), tmp_path / "participants.tsv", split_column="part")


@pytest.mark.parametrize("nothing", ["n/a", "N/A", "", " "])
def test_a_subject_without_a_part_is_left_out_with_a_warning(tmp_path, caplog, nothing):
    names = [f"pair-{number}" for number in range(4)]
    table = "participant_id\tpart\n" + "".join(f"{name}\ttrain\n" for name in names)
    table += f"only-T1w-0\t{nothing}\nonly-T1w-1\t{nothing}\nwithout-scan\t{nothing}\n"
    with caplog.at_level(logging.WARNING):
        split = by_column(tmp_path, table, paired(4) + single(2, "T1w"))
    assert split.left_out == ["only-T1w-0", "only-T1w-1"]
    assert subjects(split.train_a + split.train_b + split.val + split.test) == set(names)
    assert caplog.messages == ["Left out (data.split_column=part): 2 of 6 subjects, only-T1w-0, only-T1w-1."]


def test_a_short_row_leaves_its_subject_out(tmp_path):
    split = by_column(tmp_path, "participant_id\tpart\npair-0\npair-1\ttrain\npair-2\ttrain\n", paired(3))
    assert split.left_out == ["pair-0"]


def test_nobody_left_out_is_not_warned_about(tmp_path, caplog):
    split = by_column(tmp_path, "participant_id\tpart\npair-0\ttrain\npair-1\ttrain\n", paired(2))
    assert split.left_out == []
    assert caplog.messages == []


def test_leaving_everybody_out_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"No T1w scan is left for training \(data\.split_column=part\)"):
        by_column(tmp_path, "participant_id\tpart\npair-0\tn/a\npair-1\tn/a\n", paired(2))


def test_a_repeated_row_that_agrees_is_accepted(tmp_path):
    table = "participant_id\tpart\tsession\npair-0\ttrain\t1\npair-0\ttrain\t2\npair-1\ttrain\t1\n"
    assert by_column(tmp_path, table, paired(2)).left_out == []


def test_a_table_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "participants.tsv").write_bytes("participant_id\tpart\npair-0\ttrain é\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"not a table of UTF-8 text .*, which data\.split_column=part needs"):
        divided(paired(1), tmp_path / "participants.tsv", split_column="part")


def test_of_many_names_the_first_are_shown(tmp_path):
    with pytest.raises(ValueError, match=r"no row for pair-0, pair-1, .*pair-17 and 10 more\."):
        by_column(tmp_path, "participant_id\tpart\n", paired(20))
