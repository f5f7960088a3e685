"""Shares within each value of a column."""

import random
from collections import Counter

import pytest

from mri_cyclegan.data.splits.split import Split
from tests.unit.data.splits.split_cases import CONTRASTS, both, divided, paired, part_of, scan, subjects, write_table


def random_sites(rng: random.Random, sizes: list[int]) -> dict[str, str]:
    return {f"sub-{rng.getrandbits(48):x}": f"site-{site}" for site, size in enumerate(sizes) for _ in range(size)}


@pytest.fixture
def by_site(tmp_path):
    """Divides subjects that have both contrasts, stratified by their site."""

    def make(site_of: dict[str, str], **changes) -> Split:
        table = write_table(tmp_path / "participants.tsv", {"site": site_of})
        return divided(both(list(site_of)), table, stratify_by="site", **changes)

    return make


@pytest.mark.parametrize("trial", range(40))
def test_every_stratum_is_divided_at_the_shares_to_within_one_subject(by_site, trial):
    rng = random.Random(trial)
    site_of = random_sites(rng, [rng.randint(1, 40) for _ in range(rng.randint(2, 8))] + [30])
    shares = {"val": rng.uniform(0.05, 0.4), "test": rng.uniform(0.05, 0.4)}
    split = by_site(site_of, val_share=shares["val"], test_share=shares["test"], split_seed=trial)
    sizes = Counter(site_of.values())
    for part, share in shares.items():
        drawn = Counter(site_of[name] for name in subjects(getattr(split, part)))
        assert all(abs(drawn[site] - size * share) < 1 for site, size in sizes.items())


@pytest.mark.parametrize("trial", range(40))
def test_an_added_subject_moves_at_most_one_at_each_cut_of_its_own_stratum(by_site, trial):
    rng = random.Random(100 + trial)
    site_of = random_sites(rng, [rng.randint(4, 40) for _ in range(4)])
    before = part_of(by_site(site_of, val_share=0.2, test_share=0.15))
    after = part_of(by_site(site_of | {f"new-{trial}": "site-0"}, val_share=0.2, test_share=0.15))
    moved = [name for name in before if before[name] != after[name]]
    assert all(site_of[name] == "site-0" for name in moved)
    for low_side in ({"test"}, {"test", "val"}):
        assert sum((before[name] in low_side) != (after[name] in low_side) for name in moved) <= 1


def test_a_new_stratum_moves_nobody(by_site):
    site_of = random_sites(random.Random(0), [20, 11])
    before = part_of(by_site(site_of))
    after = part_of(by_site(site_of | {f"new-{number}": "site-new" for number in range(9)}))
    assert {name: after[name] for name in before} == before


def test_strata_too_small_for_a_share_keep_it_together(by_site):
    """Of 400 sites with one subject each, none can give a tenth."""
    split = by_site(random_sites(random.Random(1), [1] * 400), val_share=0.1, test_share=0.25)
    # Four standard deviations of a binomial count.
    assert abs(len(subjects(split.val)) - 40) < 4 * (400 * 0.1 * 0.9) ** 0.5
    assert abs(len(subjects(split.test)) - 100) < 4 * (400 * 0.25 * 0.75) ** 0.5


def test_missing_values_are_one_stratum_however_they_are_written(by_site):
    site_of = {f"sub-{number:02d}": ("here", "n/a", "", "N/A")[number % 4] for number in range(40)}
    split = by_site(site_of, val_share=0.1, test_share=0.2)
    assert Counter(site_of[name] == "here" for name in subjects(split.val)) == {True: 1, False: 3}
    assert Counter(site_of[name] == "here" for name in subjects(split.test)) == {True: 2, False: 6}
    named = by_site({name: site if site == "here" else "n/a" for name, site in site_of.items()}, test_share=0.2)
    assert part_of(named) == part_of(split)


def test_without_pairs_each_contrast_is_stratified(tmp_path):
    names = {contrast: [f"{contrast}-{number}" for number in range(40)] for contrast in CONTRASTS}
    site_of = {name: ("x", "y")[number // 20] for group in names.values() for number, name in enumerate(group)}
    table = write_table(tmp_path / "participants.tsv", {"site": site_of})
    scans = [scan(name, contrast) for contrast, group in names.items() for name in group]
    split = divided(scans, table, stratify_by="site", val_share=0.1, test_share=0.2)
    for part, count in ((split.val, 2), (split.test, 4)):
        assert Counter((scan.contrast, site_of[scan.subject]) for scan in part) == {
            (contrast, site): count for contrast in CONTRASTS for site in "xy"
        }


@pytest.mark.parametrize("seed", range(20))
def test_tiny_strata_leave_both_training_domains_non_empty(by_site, seed):
    split = by_site({"sub-1": "x", "sub-2": "y", "sub-3": "z"}, val_share=0.45, test_share=0.45, split_seed=seed)
    assert min(len(split.train_a), len(split.train_b)) == 1
    assert len(subjects(split.val) | subjects(split.test)) == 1


def test_strata_follow_the_seed_and_not_the_order_of_the_scans(tmp_path):
    site_of = random_sites(random.Random(2), [15, 8])
    table = write_table(tmp_path / "participants.tsv", {"site": site_of})
    scans = both(list(site_of))
    first, turned, other = (
        part_of(divided(order, table, stratify_by="site", split_seed=seed))
        for order, seed in ((scans, 0), (scans[::-1], 0), (scans, 1))
    )
    assert first == turned
    assert first != other


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("participant_id\tsite\npair-0\tx\n", "no row for pair-1. data.stratify_by=site needs one for every subject"),
        (
            "participant_id\tage\npair-0\t1\npair-1\t2\n",
            "no column 'site'; it has participant_id, age. data.stratify_by",
        ),
        (
            "participant_id\tsite\npair-0\tx\npair-1\tx\npair-1\ty\n",
            "pair-1 has two rows, with x and y in column 'site'",
        ),
    ],
)
def test_a_table_that_does_not_tell_the_strata_is_refused(tmp_path, table, message):
    path = tmp_path / "participants.tsv"
    path.write_text(table)
    with pytest.raises(ValueError) as caught:
        divided(paired(2), path, stratify_by="site")
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_missing_table_is_refused_with_the_key(tmp_path):
    with pytest.raises(ValueError, match=r"participants.tsv does not exist, but data\.stratify_by=site asks for it"):
        divided(paired(2), tmp_path / "participants.tsv", stratify_by="site")
