"""The split given by a data set's own folders: ``train/``, ``val/``, ``test/``, or ``trainA`` … ``testB``."""

from collections.abc import Sequence

from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.text import listing

_OTHER_RULES = "data.split_file, data.split_column or data.num_folds"


def parts_with_folders(scans: Sequence[Scan]) -> tuple[str, ...]:
    """Parts that the data set has folders for; empty if it has none."""
    parts = {scan.part for scan in scans}
    return tuple(part for part in ("train", "val", "test") if part in parts)


def part_by_subject(scans: Sequence[Scan]) -> dict[str, str]:
    """Part of each subject, from the folder of its scans.

    Raises:
        ValueError: a subject is in the folders of two parts, or a scan is in none.
    """
    outside = [scan.path for scan in scans if not scan.part]
    if outside:
        raise ValueError(
            f"{len(outside)} scans lie in no part's folder, such as {outside[0]}, but others in those of "
            f"{', '.join(parts_with_folders(scans))}. Move them into one, or let {_OTHER_RULES} decide."
        )
    part_of: dict[str, str] = {}
    torn = set()
    for scan in scans:
        if part_of.setdefault(scan.subject, scan.part) != scan.part:
            torn.add(scan.subject)
    if torn:
        raise ValueError(
            f"{listing(sorted(torn))}: in the folders of two parts, so what is tested would be trained on. Keep each "
            f"subject in one of them, or let {_OTHER_RULES} decide."
        )
    return part_of
