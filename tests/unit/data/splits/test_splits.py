"""Parts drawn by their shares."""

import pytest

from mri_cyclegan.data.splits.split import Split
from tests.unit.data.splits.split_cases import CONTRASTS, both, divided, paired, part_of, scan, single, subjects


def split_subjects(
    scans, val_share=0.1, test_share=0.1, seed=0, allow_paired_subjects=False, contrasts=CONTRASTS
) -> Split:
    return divided(
        scans,
        contrasts=contrasts,
        val_share=val_share,
        test_share=test_share,
        split_seed=seed,
        allow_paired_subjects=allow_paired_subjects,
    )


# Who is where must never change at the same settings. Made by version 0.1.0, commit 0235638.
GOLDEN_PAIRED = {
    "train_a": "01 05 10 11 12 14 15 17 21 24 25 28 29",
    "train_b": "02 03 04 08 09 13 16 19 20 22",
    "val": "07 26",
    "test": "06 18 23 27 30",
}
GOLDEN_SINGLE = {
    "train_a": "06 08 10 12 18 20 26",
    "train_b": "03 07 09 11 13 17 23 25 27",
    "val": "04 05 16 24",
    "test": "01 02 14 15 19 21 22 28 29 30",
}


@pytest.mark.parametrize(("only_even_have_a", "seed", "golden"), [(False, 0, GOLDEN_PAIRED), (True, 7, GOLDEN_SINGLE)])
def test_thirty_subjects_stay_where_they_were(only_even_have_a, seed, golden):
    scans = both([f"sub-{number:02d}" for number in range(1, 31)])
    if only_even_have_a:
        scans = [scan for scan in scans if (int(scan.subject[4:]) % 2 == 0) == (scan.contrast == "T1w")]
    split = split_subjects(scans, 0.1, 0.2, seed)
    found = {part: " ".join(sorted(name[4:] for name in subjects(getattr(split, part)))) for part in golden}
    assert found == golden


@pytest.mark.parametrize("allow_paired_subjects", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_no_subject_is_in_two_parts_and_none_is_lost(seed, allow_paired_subjects):
    scans = paired(30) + single(10, "T1w") + single(7, "T2w")
    split = split_subjects(scans, 0.2, 0.3, seed, allow_paired_subjects)
    train = subjects(split.train_a) | subjects(split.train_b)
    assert not train & subjects(split.val)
    assert not train & subjects(split.test)
    assert not subjects(split.val) & subjects(split.test)
    assert train | subjects(split.val) | subjects(split.test) == subjects(scans)


@pytest.mark.parametrize("seed", range(5))
def test_a_training_subject_with_both_contrasts_feeds_one_domain(seed):
    split = split_subjects(paired(40), seed=seed)
    assert not subjects(split.train_a) & subjects(split.train_b)
    assert split.subjects_in_both_domains() == []
    assert {scan.contrast for scan in split.train_a} == {"T1w"}
    assert {scan.contrast for scan in split.train_b} == {"T2w"}
    assert min(len(split.train_a), len(split.train_b)) >= 8


def test_all_sessions_of_a_subject_feed_the_same_domain():
    scans = [
        scan(f"s{number}", name, f"ses-{visit}/") for number in range(12) for name in CONTRASTS for visit in (1, 2)
    ]
    split = split_subjects(scans)
    for part in (split.train_a, split.train_b):
        assert len(part) == 2 * len(subjects(part))
    assert not subjects(split.train_a) & subjects(split.train_b)


def test_paired_training_subjects_feed_both_domains_where_allowed():
    split = split_subjects(paired(20), allow_paired_subjects=True)
    assert subjects(split.train_a) == subjects(split.train_b)
    assert split.subjects_in_both_domains() == sorted(subjects(split.train_a))


def test_the_order_of_the_contrasts_decides_which_domain_is_a():
    split = split_subjects(paired(20), contrasts=("T2w", "T1w"))
    assert {scan.contrast for scan in split.train_a} == {"T2w"}
    assert {scan.contrast for scan in split.train_b} == {"T1w"}


@pytest.mark.parametrize("seed", range(5))
def test_validation_and_test_are_drawn_from_paired_subjects(seed):
    split = split_subjects(paired(12) + single(40, "T1w") + single(40, "T2w"), 0.2, 0.2, seed)
    assert split.val
    assert split.test
    assert all(name.startswith("pair-") for name in subjects(split.val) | subjects(split.test))
    assert {scan.contrast for scan in split.val} == {scan.contrast for scan in split.test} == set(CONTRASTS)


def test_without_pairs_each_contrast_gives_to_every_part():
    split = split_subjects(single(30, "T1w") + single(20, "T2w"), 0.2, 0.2)
    for part in (split.val, split.test, split.train_a + split.train_b):
        assert {scan.contrast for scan in part} == set(CONTRASTS)


def test_the_shares_are_kept():
    split = split_subjects(paired(1000), 0.1, 0.25, seed=3)
    # Four standard deviations of a binomial count.
    assert abs(len(subjects(split.val)) - 100) < 4 * (1000 * 0.1 * 0.9) ** 0.5
    assert abs(len(subjects(split.test)) - 250) < 4 * (1000 * 0.25 * 0.75) ** 0.5
    assert abs(len(split.train_a) - len(split.train_b)) < 4 * 650**0.5


def test_a_share_of_zero_leaves_the_part_empty():
    split = split_subjects(paired(30), 0.0, 0.0)
    assert split.val == split.test == []


@pytest.mark.parametrize("added", ["aaa", "pair-00", "zzz", "new"])
def test_adding_a_subject_does_not_move_the_others(added):
    before = part_of(split_subjects(paired(60), 0.2, 0.2))
    after = part_of(split_subjects(paired(60) + [scan(added, name) for name in CONTRASTS], 0.2, 0.2))
    assert after.pop(added)
    assert after == before


def test_the_split_depends_on_the_seed_and_not_on_the_order_of_the_scans():
    scans = paired(40)
    assert part_of(split_subjects(scans, seed=1)) == part_of(split_subjects(scans[::-1], seed=1))
    assert part_of(split_subjects(scans, seed=1)) != part_of(split_subjects(scans, seed=2))


@pytest.mark.parametrize("seed", range(20))
def test_two_paired_subjects_leave_both_training_domains_non_empty(seed):
    split = split_subjects(paired(2), seed=seed)
    assert len(split.train_a) == len(split.train_b) == 1
    assert subjects(split.train_a) != subjects(split.train_b)


@pytest.mark.parametrize("seed", range(20))
def test_one_subject_a_contrast_trains(seed):
    split = split_subjects(single(1, "T1w") + single(1, "T2w"), 0.3, 0.3, seed=seed)
    assert len(split.train_a) == len(split.train_b) == 1


@pytest.mark.parametrize(("count", "num_val", "num_test"), [(2, 0, 0), (3, 1, 0), (4, 1, 1), (9, 1, 1)])
def test_a_part_the_draw_left_empty_gets_one_subject_if_training_can_spare_it(count, num_val, num_test):
    split = split_subjects(paired(count), 1e-9, 1e-9)
    assert (len(subjects(split.val)), len(subjects(split.test))) == (num_val, num_test)


@pytest.mark.parametrize("seed", range(20))
def test_the_few_paired_subjects_are_measured_on_where_others_train(seed):
    split = split_subjects(paired(2) + single(5, "T1w") + single(5, "T2w"), 1e-9, 1e-9, seed)
    assert subjects(split.val) | subjects(split.test) == {"pair-0", "pair-1"}
    split = split_subjects(paired(2) + single(5, "T1w"), 0.3, 0.3, seed)
    assert len(subjects(split.train_b)) == len(subjects(split.val) | subjects(split.test)) == 1


@pytest.mark.parametrize("seed", range(20))
def test_a_single_paired_subject_trains_where_a_domain_would_be_empty(seed):
    split = split_subjects(paired(1) + single(3, "T1w"), 0.3, 0.3, seed)
    assert subjects(split.train_b) == {"pair-0"}
    assert len(split.train_a) == 3


def test_a_training_domain_that_cannot_be_filled_is_refused():
    with pytest.raises(ValueError, match=r"No T[12]w scan is left for training.*data\.allow_paired_subjects=true"):
        split_subjects(paired(1))
    split = split_subjects(paired(1), allow_paired_subjects=True)
    assert subjects(split.train_a) == subjects(split.train_b) == {"pair-0"}
