"""People with random names, contrasts, sites, visits and slices, in every layout: no person is in two parts."""

import unicodedata
from collections import defaultdict

import numpy as np
import pytest

from mri_cyclegan.data.layouts import LayoutSettings, find_scans
from mri_cyclegan.data.splits.settings import SplitSettings
from mri_cyclegan.data.splits.split import split_subjects

SETTINGS = SplitSettings(
    split_file=None,
    split_column=None,
    num_folds=None,
    fold=0,
    val_share=0.2,
    test_share=0.2,
    stratify_by=None,
    split_seed=0,
    allow_paired_subjects=False,
)
PEOPLE = ("sub-{n:02d}", "IXI{n:03d}", "case_{n:03d}", "{n:06d}", "P{n}", "OAS1_{n:04d}", "Zoé{n}", "BraTS-GLI-{n:05d}")
CONTRASTS = (("T1w", "T2w"), ("T1", "T2"), ("t1", "t2"), ("IXI-T1", "IXI-T2"), ("PD", "FLAIR"))


def divided(scans, contrasts, root):
    """The split, as if every subject with both contrasts had a pair."""
    owners = [{scan.subject for scan in scans if scan.contrast == contrast} for contrast in contrasts]
    return split_subjects(scans, contrasts, SETTINGS, root / "participants.tsv", owners[0] & owners[1])


def draw_names(random, contrasts, pictures):
    """Names without ending, each with the person and the contrast's number; one style for the whole data set."""
    person = random.choice(PEOPLE)
    site = random.choice(["", "Guys", "HH-3T"])
    words = [[contrast.split("-")[-1], contrast.split("-")[-1].lower()][random.integers(2)] for contrast in contrasts]
    visits = random.choice([1, 1, 2])
    style = random.choice(
        ["{who}{site}{visit}-{contrast}", "{contrast}_{who}{site}{visit}", "{who}-{contrast}{site}{visit}"]
    )
    for n in range(1, 1 + int(random.integers(12, 25))):
        has = [[0], [1], [0, 1]][random.integers(3)]
        for visit in range(1, 1 + int(random.integers(1, visits + 1))):
            for number in has:
                name = style.format(
                    who=person.format(n=n),
                    site=f"_{site}" if site else "",
                    visit=f"_ses-{visit}" if visits > 1 else "",
                    contrast=words[number],
                )
                for index in random.choice(200, 3, replace=False) if pictures else [None]:
                    yield n, number, name + ("" if index is None else f"_{index:03d}")


def build(root, random):
    """Make empty files in a random layout; gives the settings, and who is who by path."""
    contrasts = CONTRASTS[random.integers(len(CONTRASTS))]
    layout = str(random.choice(["folder", "png", "pattern"]))
    suffix = ".png" if layout == "png" else ".nii.gz"
    true = {}
    for n, number, name in draw_names(random, contrasts, layout == "png"):
        if number == 1:  # another file system decomposes letters
            name = unicodedata.normalize("NFD", name)
        folder = ("AB"[number],) if layout == "pattern" else (contrasts[number],)
        path = root.joinpath(*folder, name + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        true[path] = n
    patterns = ("A/*", "B/*") if layout == "pattern" else (None, None)
    return LayoutSettings(layout, contrasts, pattern_a=patterns[0], pattern_b=patterns[1]), true


@pytest.mark.parametrize("seed", range(60))
def test_no_person_is_in_two_parts_or_in_both_domains(tmp_path, seed):
    settings, true = build(tmp_path, np.random.default_rng(seed))
    scans, findings, _ = find_scans(tmp_path, settings)
    assert {scan.path for scan in scans} == set(true)
    split = divided(scans, settings.contrasts, tmp_path)
    parts = defaultdict(set)
    for part in ("train_a", "train_b", "val", "test"):
        for scan in getattr(split, part):
            parts[true[scan.path]].add(part)
    torn = {person: found for person, found in parts.items() if len(found) > 1}
    assert torn == {}
    assert split.is_identity_known, [str(finding) for finding in findings]


def test_what_nothing_tells_is_unknown_in_the_split(tmp_path):
    for contrast in "AB":
        for number in range(8):
            path = tmp_path / contrast / f"{number:04d}.png"
            path.parent.mkdir(exist_ok=True)
            path.touch()
    scans, (finding,), _ = find_scans(tmp_path, LayoutSettings("png", ("A", "B")))
    assert "nothing tells whose 16 of 16 pictures are" in finding.problem and "data.subject_pattern" in finding.remedy
    split = divided(scans, ("A", "B"), tmp_path)
    split.save(tmp_path / "split.json", tmp_path)
    assert '"identity": "unknown"' in (tmp_path / "split.json").read_text(encoding="utf-8")
    assert "not known" in split.pairing
