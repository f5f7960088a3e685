"""Explanation, for the user, of why there are no paired metrics."""

from collections.abc import Sequence

from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.pairs import Pair
from mri_cyclegan.data.splits.split import Split
from mri_cyclegan.text import listing

ADVICE = "So there are no paired metrics: judge by the pictures."


def why_no_pairs(split: Split, scans: Sequence[Scan], pairs: Sequence[Pair], rule: str) -> str:
    """Explain which subjects have both contrasts, and why validation can use none of their pairs.

    Args:
        split: subjects of training, validation and test.
        scans: all usable scans.
        pairs: see :func:`mri_cyclegan.data.pairs.find_pairs`.
        rule: see :data:`mri_cyclegan.data.pairs.RULES`.
    """
    owners = [{scan.subject for scan in scans if scan.contrast == contrast} for contrast in split.contrasts]
    both = set.intersection(*owners)
    if not both:
        return f"No subject has both contrasts. {ADVICE}"
    reasons = [f"{len(both)} {'subject has' if len(both) == 1 else 'subjects have'} both contrasts"]
    parts = {"train": [*split.train_a, *split.train_b], "test": split.test}
    for part, of_part in parts.items():
        if names := both & {scan.subject for scan in of_part}:
            reasons.append(f"for {part}: {listing(sorted(names))}")
    if names := both & set(split.left_out):
        reasons.append(f"left out: {listing(sorted(names))}")
    validating = both & {scan.subject for scan in split.val}
    obstacles = {pair.a.subject: pair.why_not_comparable(rule) for pair in pairs if pair.a.subject in validating}
    if names := validating - set(obstacles):
        reasons.append(f"for validation, but in different sessions: {listing(sorted(names))}")
    if names := {subject for subject, why_not_comparable in obstacles.items() if why_not_comparable}:
        first = min(names)
        reasons.append(
            f"for validation, but not comparable with data.pairs={rule}: {listing(sorted(names))} ({obstacles[first]})"
        )
    if names := {subject for subject, why_not_comparable in obstacles.items() if not why_not_comparable}:
        reasons.append(f"for validation, but without a common head: {listing(sorted(names))}")
    return f"No pair for validation; {'; '.join(reasons)}. {ADVICE}"
