import json
from pathlib import Path

import pytest

from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.splits import Split, split_by_column, split_by_subject

CONTRASTS = ("T1w", "T2w")


def scan(subject: str, contrast: str, session: str = "") -> Scan:
    return Scan(subject, session, contrast, Path(f"/data/{subject}/{session}{subject}_{contrast}.nii.gz"))


def paired(count: int, prefix: str = "pair") -> list[Scan]:
    return [scan(f"{prefix}-{number}", contrast) for number in range(count) for contrast in CONTRASTS]


def single(count: int, contrast: str) -> list[Scan]:
    return [scan(f"only-{contrast}-{number}", contrast) for number in range(count)]


def divide(scans, val_share=0.1, test_share=0.1, seed=0, allow_paired_subjects=False, contrasts=CONTRASTS) -> Split:
    return split_by_subject(scans, contrasts, val_share, test_share, seed, allow_paired_subjects)


def subjects(scans: list[Scan]) -> set[str]:
    return {scan.subject for scan in scans}


def part_of(split: Split) -> dict[str, str]:
    parts = {"train_a": split.train_a, "train_b": split.train_b, "val": split.val, "test": split.test}
    return {scan.subject: part for part, scans in parts.items() for scan in scans}


@pytest.mark.parametrize("allow_paired_subjects", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_no_subject_is_in_two_parts_and_none_is_lost(seed, allow_paired_subjects):
    scans = paired(30) + single(10, "T1w") + single(7, "T2w")
    split = divide(scans, 0.2, 0.3, seed, allow_paired_subjects)
    train = subjects(split.train_a) | subjects(split.train_b)
    assert not train & subjects(split.val)
    assert not train & subjects(split.test)
    assert not subjects(split.val) & subjects(split.test)
    assert train | subjects(split.val) | subjects(split.test) == subjects(scans)


@pytest.mark.parametrize("seed", range(5))
def test_a_training_subject_with_both_contrasts_feeds_one_domain(seed):
    split = divide(paired(40), seed=seed)
    assert not subjects(split.train_a) & subjects(split.train_b)
    assert split.subjects_in_both_domains() == []
    assert {scan.contrast for scan in split.train_a} == {"T1w"}
    assert {scan.contrast for scan in split.train_b} == {"T2w"}
    assert min(len(split.train_a), len(split.train_b)) >= 8


def test_all_sessions_of_a_subject_feed_the_same_domain():
    scans = [
        scan(f"s{number}", name, f"ses-{visit}/") for number in range(12) for name in CONTRASTS for visit in (1, 2)
    ]
    split = divide(scans)
    for part in (split.train_a, split.train_b):
        assert len(part) == 2 * len(subjects(part))
    assert not subjects(split.train_a) & subjects(split.train_b)


def test_paired_training_subjects_feed_both_domains_where_allowed():
    split = divide(paired(20), allow_paired_subjects=True)
    assert subjects(split.train_a) == subjects(split.train_b)
    assert split.subjects_in_both_domains() == sorted(subjects(split.train_a))


def test_the_order_of_the_contrasts_decides_which_domain_is_a():
    split = divide(paired(20), contrasts=("T2w", "T1w"))
    assert {scan.contrast for scan in split.train_a} == {"T2w"}
    assert {scan.contrast for scan in split.train_b} == {"T1w"}


@pytest.mark.parametrize("seed", range(5))
def test_validation_and_test_are_drawn_from_paired_subjects(seed):
    split = divide(paired(12) + single(40, "T1w") + single(40, "T2w"), 0.2, 0.2, seed)
    assert split.val
    assert split.test
    assert all(name.startswith("pair-") for name in subjects(split.val) | subjects(split.test))
    assert {scan.contrast for scan in split.val} == {scan.contrast for scan in split.test} == set(CONTRASTS)


def test_without_pairs_each_contrast_gives_to_every_part():
    split = divide(single(30, "T1w") + single(20, "T2w"), 0.2, 0.2)
    for part in (split.val, split.test, split.train_a + split.train_b):
        assert {scan.contrast for scan in part} == set(CONTRASTS)


def test_the_shares_are_kept():
    split = divide(paired(1000), 0.1, 0.25, seed=3)
    # Four standard deviations of a binomial count.
    assert abs(len(subjects(split.val)) - 100) < 4 * (1000 * 0.1 * 0.9) ** 0.5
    assert abs(len(subjects(split.test)) - 250) < 4 * (1000 * 0.25 * 0.75) ** 0.5
    assert abs(len(split.train_a) - len(split.train_b)) < 4 * 650**0.5


def test_a_share_of_zero_leaves_the_part_empty():
    split = divide(paired(30), 0.0, 0.0)
    assert split.val == split.test == []


@pytest.mark.parametrize("added", ["aaa", "pair-00", "zzz", "new"])
def test_adding_a_subject_does_not_move_the_others(added):
    before = part_of(divide(paired(60), 0.2, 0.2))
    after = part_of(divide(paired(60) + [scan(added, name) for name in CONTRASTS], 0.2, 0.2))
    assert after.pop(added)
    assert after == before


def test_the_split_depends_on_the_seed_and_not_on_the_order_of_the_scans():
    scans = paired(40)
    assert part_of(divide(scans, seed=1)) == part_of(divide(scans[::-1], seed=1))
    assert part_of(divide(scans, seed=1)) != part_of(divide(scans, seed=2))


@pytest.mark.parametrize("seed", range(20))
def test_two_paired_subjects_leave_both_training_domains_non_empty(seed):
    split = divide(paired(2), seed=seed)
    assert len(split.train_a) == len(split.train_b) == 1
    assert subjects(split.train_a) != subjects(split.train_b)


@pytest.mark.parametrize("seed", range(20))
def test_one_subject_a_contrast_trains(seed):
    split = divide(single(1, "T1w") + single(1, "T2w"), 0.3, 0.3, seed=seed)
    assert len(split.train_a) == len(split.train_b) == 1


@pytest.mark.parametrize(("count", "num_val", "num_test"), [(2, 0, 0), (3, 1, 0), (4, 1, 1), (9, 1, 1)])
def test_a_part_the_draw_left_empty_gets_one_subject_if_training_can_spare_it(count, num_val, num_test):
    split = divide(paired(count), 1e-9, 1e-9)
    assert (len(subjects(split.val)), len(subjects(split.test))) == (num_val, num_test)


@pytest.mark.parametrize("seed", range(20))
def test_the_few_paired_subjects_are_measured_on_where_others_train(seed):
    split = divide(paired(2) + single(5, "T1w") + single(5, "T2w"), 1e-9, 1e-9, seed)
    assert subjects(split.val) | subjects(split.test) == {"pair-0", "pair-1"}
    split = divide(paired(2) + single(5, "T1w"), 0.3, 0.3, seed)
    assert len(subjects(split.train_b)) == len(subjects(split.val) | subjects(split.test)) == 1


@pytest.mark.parametrize("seed", range(20))
def test_a_single_paired_subject_trains_where_a_domain_would_be_empty(seed):
    split = divide(paired(1) + single(3, "T1w"), 0.3, 0.3, seed)
    assert subjects(split.train_b) == {"pair-0"}
    assert len(split.train_a) == 3


def test_a_training_domain_that_cannot_be_filled_is_refused():
    with pytest.raises(ValueError, match=r"No T[12]w scan is left for training.*data\.allow_paired_subjects=true"):
        divide(paired(1))
    split = divide(paired(1), allow_paired_subjects=True)
    assert subjects(split.train_a) == subjects(split.train_b) == {"pair-0"}


@pytest.mark.parametrize(("val_share", "test_share"), [(-0.1, 0.1), (0.1, -0.1), (0.5, 0.5), (1.0, 0.0)])
def test_impossible_shares_are_refused_by_their_keys(val_share, test_share):
    with pytest.raises(ValueError, match=r"data\.val_share and data\.test_share"):
        divide(paired(10), val_share, test_share)


# Split itself


@pytest.mark.parametrize("parts", [("train_a", "val"), ("train_b", "test"), ("val", "test")])
def test_a_split_refuses_a_subject_in_two_parts(parts):
    content = {"train_a": [], "train_b": [], "val": [], "test": []}
    for number, part in enumerate(parts):
        content[part] = [scan("sub-01", CONTRASTS[number])]
    with pytest.raises(ValueError, match="Subject sub-01 is in both"):
        Split(**content, allow_paired_subjects=True)


def test_a_split_refuses_paired_training_unless_allowed():
    domains = [scan("sub-01", "T1w")], [scan("sub-01", "T2w")]
    with pytest.raises(ValueError, match=r"sub-01 give both contrasts.*data\.allow_paired_subjects=true"):
        Split(*domains, [], [])
    assert Split(*domains, [], [], allow_paired_subjects=True).subjects_in_both_domains() == ["sub-01"]


def test_the_saved_split_names_subjects_and_files_of_each_part(tmp_path):
    split = Split(
        [scan("sub-02", "T1w"), scan("sub-01", "T1w")],
        [scan("sub-01", "T2w")],
        [scan("sub-é", "T1w"), scan("sub-é", "T2w")],
        [],
        allow_paired_subjects=True,
    )
    split.save(tmp_path / "split.json")
    assert json.loads((tmp_path / "split.json").read_text(encoding="utf-8")) == {
        "subjects": {"train_a": ["sub-01", "sub-02"], "train_b": ["sub-01"], "val": ["sub-é"], "test": []},
        "files": {
            "train_a": ["/data/sub-02/sub-02_T1w.nii.gz", "/data/sub-01/sub-01_T1w.nii.gz"],
            "train_b": ["/data/sub-01/sub-01_T2w.nii.gz"],
            "val": ["/data/sub-é/sub-é_T1w.nii.gz", "/data/sub-é/sub-é_T2w.nii.gz"],
            "test": [],
        },
        "subjects_in_both_training_domains": ["sub-01"],
    }


# By column


def by_column(tmp_path, table: str, scans: list[Scan], **arguments) -> Split:
    (tmp_path / "participants.tsv").write_text(table, encoding="utf-8")
    settings = {"column": "part", "seed": 0, "allow_paired_subjects": False} | arguments
    return split_by_column(scans, CONTRASTS, tmp_path / "participants.tsv", **settings)


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
    split = by_column(tmp_path, table, paired(8), seed=seed)
    assert split.subjects_in_both_domains() == []
    assert len(split.train_a) + len(split.train_b) == 8
    both = by_column(tmp_path, table, paired(8), seed=seed, allow_paired_subjects=True)
    assert len(both.subjects_in_both_domains()) == 8


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("participant_id\tpart\npair-0\ttrain\npair-1\tholdout\n", "column 'part' holds holdout; expected train"),
        ("participant_id\tage\npair-0\t1\npair-1\t2\n", "no column 'part'; it has participant_id, age"),
        ("participant_id\tpart\npair-0\ttrain\n", "no row for pair-1"),
        ("participant_id\tpart\n", "no column 'part'; it has no rows"),
        ("subject\tpart\npair-0\ttrain\npair-1\ttrain\n", "no column 'participant_id'"),
        ("participant_id\tpart\npair-0\npair-1\ttrain\n", "column 'part' holds no value; expected train"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, table, message):
    with pytest.raises(ValueError) as caught:
        by_column(tmp_path, table, paired(2))
    assert str(caught.value).startswith(f"{tmp_path / 'participants.tsv'}: ")
    assert message in str(caught.value)


def test_a_missing_table_is_refused_with_the_key(tmp_path):
    with pytest.raises(ValueError, match=r"participants.tsv does not exist, but data\.split_column=part"):
        split_by_column(paired(2), CONTRASTS, tmp_path / "participants.tsv", "part", 0, False)
