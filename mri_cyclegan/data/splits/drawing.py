"""Random splits, drawn by a hash of the subjects' names: the same on every machine and for any file order."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.splits.settings import SplitSettings
from mri_cyclegan.text import listing

# Cell (stratum) of a subject: the contrasts it has, and its value of data.stratify_by.
Stratum = tuple[str, str]


def draw_parts(
    scans: Sequence[Scan],
    contrasts: Sequence[str],
    settings: SplitSettings,
    value_of: Mapping[str, str] | None,
    paired: Collection[str],
) -> dict[str, str]:
    """Draw the validation and test subjects.

    Both are drawn from the candidates: the subjects with a pair if there are any, else the subjects of each contrast.
    All other subjects train. If the draw leaves a part empty, it gets one subject, provided that each contrast keeps at
    least one training subject. With plain shares, adding a subject does not move the others to another part. With
    strata it moves no subject of another stratum, and at most one at each boundary within its own. Folds guarantee
    neither: their test subjects depend on the number of candidates.

    Args:
        scans: all scans.
        contrasts: (a, b).
        settings: shares or folds, and the seed.
        value_of: subject to its value of ``data.stratify_by``; None draws without strata.
        paired: subjects with a pair that can be compared, see :func:`mri_cyclegan.data.pairs.find_pairs`.

    Returns:
        Subject to ``"val"`` or ``"test"``; subjects that are not drawn are missing.

    Raises:
        ValueError: there are more folds than candidates.
    """
    groups = _candidates(scans, contrasts, paired)
    stratum_of = _strata(scans, value_of or {})
    part_of: dict[str, str] = {}
    shares, purpose = {"test": settings.test_share, "val": settings.val_share}, "part"
    if settings.num_folds is not None:
        part_of = dict.fromkeys(
            _test_subjects_of_fold(set().union(*(group for group, _ in groups)), stratum_of, settings), "test"
        )
        # A different hash than for the folds: otherwise the same subjects would validate in every fold but their own.
        shares, purpose = {"val": settings.val_share}, "val"
    tested = set(part_of)
    for group, num_kept in groups:
        hash_of = {subject: unit_hash(subject, purpose, settings.split_seed) for subject in group - tested}
        ranked = sorted(hash_of, key=lambda subject: (hash_of[subject], subject))
        place_of = hash_of if value_of is None else _quantiles_in_strata(ranked, stratum_of, settings.split_seed)
        part_of |= _assign_parts(ranked, place_of, shares, num_kept)
    return part_of


def unit_hash(name: str, purpose: str, seed: int) -> float:
    """Pseudorandom number in [0, 1), determined by the arguments."""
    digest = hashlib.sha256(f"{seed}:{purpose}:{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _candidates(scans: Sequence[Scan], contrasts: Sequence[str], paired: Collection[str]) -> list[tuple[set[str], int]]:
    """Groups of subjects to draw validation and test from, each with how many must stay in training."""
    owners = [{scan.subject for scan in scans if scan.contrast == contrast} for contrast in contrasts]
    both = set(paired) & {scan.subject for scan in scans}
    if not both:
        return [(subjects, 1) for subjects in owners]
    return [(both, sum(subjects <= both for subjects in owners))]


def _strata(scans: Sequence[Scan], value_of: Mapping[str, str]) -> dict[str, Stratum]:
    contrasts_of: dict[str, set[str]] = defaultdict(set)
    for scan in scans:
        contrasts_of[scan.subject].add(scan.contrast)
    return {subject: ("+".join(sorted(had)), value_of.get(subject, "")) for subject, had in contrasts_of.items()}


def _group_by_stratum(ranked: Sequence[str], stratum_of: Mapping[str, Stratum]) -> dict[Stratum, list[str]]:
    cells: dict[Stratum, list[str]] = defaultdict(list)
    for subject in ranked:
        cells[stratum_of[subject]].append(subject)
    return dict(sorted(cells.items()))


def _test_subjects_of_fold(
    candidates: Collection[str], stratum_of: Mapping[str, Stratum], settings: SplitSettings
) -> set[str]:
    """Test subjects of ``settings.fold``.

    Each cell is divided into one block of consecutive ranks per fold. The folds that get one subject more rotate from
    cell to cell, so that fold sizes differ by at most one subject, within each cell and overall.
    """
    assert settings.num_folds is not None
    if settings.num_folds > len(candidates):
        raise ValueError(
            f"data.num_folds={settings.num_folds}: more folds than subjects to test; there are {len(candidates)}: "
            f"{listing(sorted(candidates))}. Lower data.num_folds, or add subjects with both contrasts."
        )
    ranked = sorted(candidates, key=lambda subject: (unit_hash(subject, "part", settings.split_seed), subject))
    fold_of: dict[str, int] = {}
    for members in _group_by_stratum(ranked, stratum_of).values():
        first = len(fold_of)
        folds = sorted((first + index) % settings.num_folds for index in range(len(members)))
        fold_of |= dict(zip(members, folds, strict=True))
    return {subject for subject, fold in fold_of.items() if fold == settings.fold}


def _quantiles_in_strata(ranked: Sequence[str], stratum_of: Mapping[str, Stratum], seed: int) -> dict[str, float]:
    """Quantile of each subject's rank in its cell, in [0, 1).

    Each cell adds its own pseudorandom fraction of a rank: many cells that are each too small to give a part any
    subject then still give it the right share together.
    """
    place_of: dict[str, float] = {}
    for cell, members in _group_by_stratum(ranked, stratum_of).items():
        start = unit_hash(":".join(cell), "cell", seed)
        place_of |= {subject: (rank + start) / len(members) for rank, subject in enumerate(members)}
    return place_of


def _assign_parts(
    ranked: Sequence[str], place_of: Mapping[str, float], shares: dict[str, float], num_kept: int
) -> dict[str, str]:
    """Part of each drawn subject by its place in [0, 1); at least ``num_kept`` subjects stay undrawn, if possible."""
    part_of: dict[str, str] = {}
    low = 0.0
    for part, share in shares.items():
        part_of |= {subject: part for subject in ranked if low <= place_of[subject] < low + share}
        low += share
    num_short = num_kept - (len(ranked) - len(part_of))
    for subject in [subject for subject in reversed(ranked) if subject in part_of][: max(0, num_short)]:
        del part_of[subject]
    for part in reversed(shares):
        left = [subject for subject in ranked if subject not in part_of]
        if shares[part] > 0 and part not in part_of.values() and len(left) > num_kept:
            part_of[left[0]] = part
    return part_of
