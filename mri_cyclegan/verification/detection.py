"""What kind of data set a folder is."""

from collections.abc import Sequence
from pathlib import Path

from mri_cyclegan.data.formats.dicom import series_files
from mri_cyclegan.data.formats.nifti import NIFTI_SUFFIXES
from mri_cyclegan.data.formats.picture import PICTURE_SUFFIXES
from mri_cyclegan.data.layouts import is_bids
from mri_cyclegan.data.walking import is_folder, walk

BIDS_CONTRASTS = ("T1w", "T2w")


def detect_layout(
    root: Path, layout: str | None = None, contrasts: Sequence[str] | None = None
) -> tuple[str, tuple[str, ...]]:
    """Layout and contrasts of a data set, as far as the user does not say.

    Args:
        root: folder of the data set, or of one BIDS subject.
        layout: the user's word, or None.
        contrasts: the user's word, or None.

    Raises:
        ValueError: the folder is missing, or no data set; the message says what it looks like instead.
    """
    if not is_folder(root):
        raise ValueError(f"{root} is not a folder. Give the folder of a data set.")
    if layout == "bids" or (layout is None and is_bids(root)):
        return "bids", tuple(contrasts or BIDS_CONTRASTS)
    kinds = {folder.name: kind for folder in _folders(root) if (kind := _kind_of(folder))}
    chosen = tuple(contrasts or _likely_contrasts(kinds, layout))
    found = {kinds[name] for name in chosen if name in kinds}
    if layout is not None or len(found) == 1:
        return layout or found.pop(), chosen or BIDS_CONTRASTS
    raise ValueError(f"{root} is no data set: {_explain(root, kinds)}")


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if is_folder(path) and not path.name.startswith("."))


def _kind_of(folder: Path) -> str | None:
    """Layout that the first image below a folder speaks for."""
    for found, files in walk(folder, []):
        for path in files:
            if path.name.lower().endswith(NIFTI_SUFFIXES):
                return "folder"
            if path.name.lower().endswith(PICTURE_SUFFIXES):
                return "png"
        if series_files(found):
            return "dicom"
    return None


def _likely_contrasts(kinds: dict[str, str], layout: str | None) -> tuple[str, ...]:
    names = [name for name, kind in kinds.items() if layout in (None, kind)]
    if set(BIDS_CONTRASTS) <= set(names):
        return BIDS_CONTRASTS
    return tuple(names) if len(names) == 2 and len({kinds[name] for name in names}) == 1 else ()


def _explain(root: Path, kinds: dict[str, str]) -> str:
    nested = []
    for folder in _folders(root):
        try:
            layout, contrasts = detect_layout(folder)
            nested.append(f"  {folder} ({layout}, {' and '.join(contrasts)})")
        except ValueError:
            continue
        except OSError as error:
            return f"{error.filename} cannot be listed ({error.strerror}). Give yourself permission to read it."
    if nested:
        return "it holds data sets. Verify one of them:\n" + "\n".join(nested)
    if kinds:
        return f"it holds images in {', '.join(kinds)}. Name the two contrasts' folders with --contrasts A,B."
    return "no images were found in its subfolders. Expected BIDS (sub-*/anat), or one folder a contrast."
