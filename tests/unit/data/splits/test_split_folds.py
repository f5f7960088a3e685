"""Cross-validation: every candidate is tested once."""

import random
from collections import Counter

import pytest

from mri_cyclegan.data.splits.drawing import unit_hash
from tests.unit.data.splits.split_cases import both, divided, paired, scan, single, subjects, write_table


def folds(scans, num_folds, *arguments, **changes):
    return [divided(scans, *arguments, num_folds=num_folds, fold=fold, **changes) for fold in range(num_folds)]


def spread(counts) -> int:
    return max(counts) - min(counts)


def random_names(rng: random.Random, count: int) -> list[str]:
    return [f"sub-{rng.getrandbits(48):x}" for _ in range(count)]


@pytest.mark.parametrize("trial", range(20))
def test_every_candidate_is_tested_once_in_folds_of_equal_size(trial):
    rng = random.Random(trial)
    names, num_folds = random_names(rng, rng.randint(12, 60)), rng.randint(2, 10)
    splits = folds(both(names) + single(5, "T1w"), num_folds, split_seed=trial)
    assert Counter(name for split in splits for name in subjects(split.test)) == dict.fromkeys(names, 1)
    assert spread([len(subjects(split.test)) for split in splits]) <= 1
    for split in splits:
        everyone = subjects(split.train_a) | subjects(split.train_b) | subjects(split.val) | subjects(split.test)
        assert everyone == set(names) | subjects(single(5, "T1w"))


@pytest.mark.parametrize("trial", range(20))
def test_stratified_folds_are_equal_in_each_stratum_and_in_all(tmp_path, trial):
    rng = random.Random(trial)
    site_of = {name: f"site-{rng.randrange(9)}" for name in random_names(rng, 60)}
    table = write_table(tmp_path / "participants.tsv", {"site": site_of})
    splits = folds(both(list(site_of)), 5, table, stratify_by="site", val_share=0.25)
    tested = [Counter(site_of[name] for name in subjects(split.test)) for split in splits]
    assert sum(tested, Counter()) == Counter(site_of.values())
    assert {sum(counts.values()) for counts in tested} == {12}
    assert all(spread([counts[site] for counts in tested]) <= 1 for site in set(site_of.values()))
    for split in splits:
        rest = Counter(site_of[name] for name in site_of.keys() - subjects(split.test))
        validating = Counter(site_of[name] for name in subjects(split.val))
        assert all(abs(validating[site] - 0.25 * size) < 1 for site, size in rest.items())


def test_folds_are_blocks_of_neighbors_in_the_hash():
    splits = folds(paired(23), 4, split_seed=3)
    hashes = [sorted(unit_hash(name, "part", 3) for name in subjects(split.test)) for split in splits]
    joined = [value for block in hashes for value in block]
    assert joined == sorted(joined)
    assert [len(block) for block in hashes] == [6, 6, 6, 5]


def test_without_pairs_each_contrast_is_cut_into_folds():
    splits = folds(single(22, "T1w") + single(13, "T2w"), 5)
    for contrast, count in (("T1w", 22), ("T2w", 13)):
        tested = [subjects([scan for scan in split.test if scan.contrast == contrast]) for split in splits]
        assert len(set().union(*tested)) == sum(map(len, tested)) == count
        assert spread([len(names) for names in tested]) <= 1
    assert {len(subjects(split.test)) for split in splits} == {7}


def test_contrasts_of_different_sessions_are_tested_together():
    """Such subjects are candidates of both contrasts, but must be tested once."""
    scans = [
        scan(f"sub-{number}", contrast, session)
        for number in range(17)
        for contrast, session in (("T1w", "ses-1/"), ("T2w", "ses-2/"))
    ]
    splits = folds(scans, 5)
    counts = Counter(name for split in splits for name in subjects(split.test))
    assert counts == dict.fromkeys(subjects(scans), 1)


def test_validation_is_drawn_by_its_share_from_the_rest_of_every_fold():
    for split in folds(paired(500), 5, val_share=0.2):
        # Four standard deviations of a binomial count of the 400 that do not test.
        assert abs(len(subjects(split.val)) - 80) < 4 * (400 * 0.2 * 0.8) ** 0.5
    assert all(split.val == [] for split in folds(paired(20), 4, val_share=0.0))
    assert all(len(subjects(split.val)) == 1 for split in folds(paired(20), 4, val_share=1e-9))


def test_the_test_share_has_no_effect():
    assert all(
        small.test == large.test and small.val == large.val
        for small, large in zip(folds(paired(20), 4, test_share=0.0), folds(paired(20), 4, test_share=0.95))
    )


def test_the_folds_follow_the_seed():
    first, again, other = (folds(paired(20), 4, split_seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert [split.test for split in first] != [split.test for split in other]


def test_one_can_be_left_out_at_a_time():
    splits = folds(paired(6), 6)
    assert [len(subjects(split.test)) for split in splits] == [1] * 6


def test_more_folds_than_candidates_are_refused():
    with pytest.raises(ValueError, match=r"data\.num_folds=4: more folds than subjects to test; there are 3: pair-0, "):
        divided(paired(3) + single(9, "T1w"), num_folds=4)


def test_a_fold_that_leaves_a_training_domain_empty_is_refused():
    with pytest.raises(ValueError, match=r"No T[12]w scan is left for training \(data\.num_folds=2, data\.val_share="):
        divided(paired(2), num_folds=2)
