"""Finds the scans of a data set."""

from collections.abc import Sequence
from pathlib import Path

from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.layouts.bids import ambiguous_scan_warnings, find_bids
from mri_cyclegan.data.layouts.folders import find_in_folders
from mri_cyclegan.data.layouts.patterns import find_by_pattern
from mri_cyclegan.data.layouts.scan import Found, Scan
from mri_cyclegan.data.layouts.settings import LAYOUTS, LayoutSettings


def find_scans(root: str | Path, settings: LayoutSettings) -> Found:
    """List the scans under ``root``, sorted.

    Args:
        root: folder of the data set.
        settings: how it is laid out.

    Raises:
        ValueError: the folder is missing, or a setting does not fit a file.
    """
    root = Path(root).expanduser()
    _require_folder(root)
    if settings.layout == "bids":
        found = find_bids(root, settings)
        found.findings.extend(ambiguous_scan_warnings(root, found.scans, settings))
    elif settings.layout == "pattern":
        found = find_by_pattern(root, settings)
    else:
        found = find_in_folders(root, settings)
    return found._replace(scans=sorted(found.scans))


def _require_folder(root: Path) -> None:
    try:
        next(root.iterdir(), None)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ValueError(f"data.root: {root} is not a folder. Set data.root to the folder of the data set.") from error
    except OSError as error:
        raise ValueError(
            f"data.root: {root} cannot be listed ({error.strerror}). Give yourself permission to read it."
        ) from error


def require_both_contrasts(
    root: str | Path, settings: LayoutSettings, scans: Sequence[Scan], findings: Sequence[Finding] = ()
) -> None:
    """Raise unless the data set has scans of both contrasts.

    Args:
        root: see :func:`find_scans`.
        settings: see :func:`find_scans`.
        scans: scans that were found.
        findings: what could not be searched, which may be the reason.

    Raises:
        ValueError: says what was searched for, what was found, and what the folder holds.
    """
    root = Path(root).expanduser()
    counts = {contrast: sum(scan.contrast == contrast for scan in scans) for contrast in settings.contrasts}
    if all(counts.values()):
        return
    found = ", ".join(f"{count} of {contrast}" for contrast, count in counts.items())
    entries = sorted(path.name for path in root.iterdir())
    reasons = "".join(f"\n- {finding}" for finding in findings)
    raise ValueError(
        f"{root}: both contrasts are needed, found {found}. Searched for {' and '.join(settings.searched())}; the "
        f"folder holds {', '.join(entries[:8]) or 'nothing'}{' …' if len(entries) > 8 else ''}. Set data.contrasts, or "
        f"data= to the layout that fits ({', '.join(LAYOUTS)}).{reasons}"
    )
