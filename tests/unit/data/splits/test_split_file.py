"""The split of an earlier run, used again."""

import json
import logging
import random
from pathlib import Path

import pytest

from tests.unit.data.splits.split_cases import CONTRASTS, divided, paired, part_of, scan, single, subjects, write_table


@pytest.fixture
def saved(tmp_path):
    """Divides, saves and names the file."""

    def make(scans, *arguments, **changes) -> str:
        path = tmp_path / "split.json"
        divided(scans, *arguments, **changes).save(path, "/data")
        return str(path)

    return make


def edited(path: str, **changes) -> str:
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    content["subjects"] |= changes
    Path(path).write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("changes", [{}, {"num_folds": 4, "fold": 2}, {"allow_paired_subjects": True}])
@pytest.mark.parametrize("trial", range(5))
def test_everybody_gets_the_same_part_again_whatever_the_seed_and_the_folder(saved, trial, changes):
    rng = random.Random(trial)
    names = [f"sub-{rng.getrandbits(48):x}" for _ in range(25)]
    kinds = {name: rng.choice([CONTRASTS, CONTRASTS, CONTRASTS[:1], CONTRASTS[1:]]) for name in names}
    old, moved = (
        [scan(name, contrast, root=root) for name in names for contrast in kinds[name]]
        for root in ("/old", "/new/place")
    )
    path = saved(old, split_seed=trial, **changes)
    again = divided(
        moved, split_file=path, split_seed=99, allow_paired_subjects=bool(changes.get("allow_paired_subjects"))
    )
    first = divided(old, split_seed=trial, **changes)
    for part in ("train_a", "train_b", "val", "test"):
        assert [scan.path.name for scan in getattr(again, part)] == [scan.path.name for scan in getattr(first, part)]
        assert all(str(scan.path).startswith("/new/place/") for scan in getattr(again, part))


def test_a_reused_split_saves_the_same_subjects(saved, tmp_path):
    path = saved(paired(20))
    divided(paired(20), split_file=path).save(tmp_path / "again.json", "/data")
    first, again = (json.loads((tmp_path / name).read_text()) for name in ("split.json", "again.json"))
    assert again["subjects"] == first["subjects"]
    assert again["decided_by"] == {"split_file": path, "allow_paired_subjects": False}


def test_exchanged_contrasts_exchange_the_training_domains(saved):
    path = saved(paired(20) + single(3, "T1w"))
    first = divided(paired(20) + single(3, "T1w"))
    turned = divided(paired(20) + single(3, "T1w"), contrasts=CONTRASTS[::-1], split_file=path)
    assert (turned.train_a, turned.train_b) == (first.train_b, first.train_a)
    assert turned.test == first.test


def test_training_in_both_domains_stays_refused_unless_allowed(saved):
    path = saved(paired(10), allow_paired_subjects=True)
    with pytest.raises(ValueError, match=r"give both contrasts to training.*data\.allow_paired_subjects=true"):
        divided(paired(10), split_file=path)


def test_one_domain_stays_one_domain_where_both_would_be_allowed(saved):
    path = saved(paired(10))
    assert part_of(divided(paired(10), split_file=path, allow_paired_subjects=True)) == part_of(divided(paired(10)))


def test_a_subject_that_is_not_in_the_file_is_refused_by_name(saved):
    path = saved(paired(10))
    with pytest.raises(ValueError) as caught:
        divided(paired(12), split_file=path)
    assert str(caught.value) == (
        f"{path}: no part for pair-10, pair-11, which the data set holds. Add them to a list under 'subjects' "
        "(train_a, train_b, val, test, left_out), or set data.split_file=null to draw a new split."
    )
    added = edited(path, left_out=["pair-10", "pair-11"])
    assert part_of(divided(paired(12), split_file=added)) == part_of(divided(paired(10)))


def test_subjects_without_scans_are_warned_about(saved, caplog):
    path = saved(paired(10))
    split = divided(paired(10))
    lost_test, lost_b = min(subjects(split.test)), min(subjects(split.train_b))
    left = [
        scan for scan in paired(10) if scan.subject != lost_test and (scan.subject, scan.contrast) != (lost_b, "T2w")
    ]
    with caplog.at_level(logging.WARNING):
        again = divided(left, split_file=path)
    names = ", ".join(sorted([lost_test, lost_b]))
    assert caplog.messages == [f"Scans are not there of 2 of 10 subjects in {path}: {names}."]
    # Who gave b must not give a now.
    assert lost_b not in part_of(again)


def test_who_was_left_out_is_left_out_again(saved, tmp_path, caplog):
    part = {f"pair-{number}": "train" for number in range(4)} | {"pair-4": "test", "pair-5": "n/a"}
    table = write_table(tmp_path / "participants.tsv", {"part": part})
    path = saved(paired(6), table, split_column="part")
    caplog.clear()
    again = divided(paired(6), split_file=path)
    assert again.left_out == ["pair-5"]
    assert caplog.messages == [f"Left out (data.split_file={path}): 1 of 6 subjects, pair-5."]


def test_a_split_that_leaves_a_domain_empty_is_refused(saved):
    path = saved(paired(4))
    left = [scan for scan in paired(4) if scan.subject not in subjects(divided(paired(4)).train_a)]
    with pytest.raises(ValueError, match=r"No T1w scan is left for training \(data\.split_file="):
        divided(left, split_file=path)


@pytest.mark.parametrize(("first", "second"), [("train_a", "val"), ("train_b", "test"), ("val", "left_out")])
def test_a_subject_in_two_parts_is_refused_with_the_file(saved, first, second):
    path = edited(saved(paired(10)), **{first: ["pair-3"], second: ["pair-3"]})
    others = {part: [] for part in ("train_a", "train_b", "val", "test") if part not in (first, second)}
    with pytest.raises(ValueError) as caught:
        divided(paired(10), split_file=edited(path, **others))
    assert str(caught.value).startswith(
        f"{path}: subject pair-3 is in both {first} and {second}; a subject has one part."
    )


PARTS = '"train_a": [], "train_b": [], "val": [], "test": []'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not JSON"),
        ("\xff", "not JSON"),
        ("[]", "no 'subjects'"),
        ('{"contrasts": ["T1w", "T2w"], "subjects": ["sub-1"]}', "no 'subjects'"),
        (f'{{"subjects": {{{PARTS}}}}}', "'contrasts' is not a list of two names"),
        (f'{{"contrasts": ["T1w"], "subjects": {{{PARTS}}}}}', "'contrasts' is not a list of two names"),
        ('{"contrasts": ["T1w", "T2w"], "subjects": {"train_a": []}}', "no 'train_b' in 'subjects'"),
        (
            f'{{"contrasts": ["T1w", "T2w"], "subjects": {{{PARTS}, "tests": []}}}}',
            "unknown part 'tests' in 'subjects'",
        ),
        (
            f'{{"contrasts": ["T1w", "T2w"], "subjects": {{{PARTS}, "left_out": [7]}}}}',
            "'left_out' in 'subjects' is not",
        ),
    ],
)
def test_a_malformed_file_is_refused_with_what_is_expected(tmp_path, text, problem):
    path = tmp_path / "split.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError) as caught:
        divided(paired(3), split_file=str(path))
    assert str(caught.value).startswith(f"{path}: not a saved split: {problem}")
    assert "data.split_file expects the split.json of an earlier run" in str(caught.value)


def test_a_missing_file_is_refused_with_the_key(tmp_path):
    with pytest.raises(ValueError, match=r"cannot be read \(No such file or directory\)\. Set data\.split_file to"):
        divided(paired(3), split_file=str(tmp_path / "none.json"))


def test_the_split_of_other_contrasts_is_refused(saved):
    path = saved(paired(5))
    flair = [scan(f"pair-{number}", name) for number in range(5) for name in ("T1w", "FLAIR")]
    with pytest.raises(
        ValueError, match=r"divides T1w and T2w, but data\.contrasts is T1w and FLAIR\. Set data\.split"
    ):
        divided(flair, contrasts=("T1w", "FLAIR"), split_file=path)
