"""Scans in other formats than NIfTI, all of a data set in the same."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import nibabel
import numpy as np
from bad_inputs.case import Case
from bad_inputs.heads import AFFINE, CONTRASTS, SUBJECTS, head

Kind = type[nibabel.spatialimages.SpatialImage]


def save(path: Path, kind: Kind, array: np.ndarray | None = None) -> None:
    """An image file, or both of a pair; the sound head by default."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(kind(head() if array is None else array, AFFINE), path)


def base(kind: Kind, suffix: str) -> Callable[[Path], None]:
    """Writes ``T1w/sub-01_T1w`` and so on."""

    def write(root: Path) -> None:
        for seed, subject in enumerate(SUBJECTS):
            for contrast in CONTRASTS:
                save(root / contrast / f"{subject}_{contrast}{suffix}", kind, head(seed, contrast))

    return write


def spoiled(kind: Kind, spoil: Callable[[Path], object]) -> Callable[[Path], None]:
    """Makes the sound head and does something to it."""

    def make(path: Path) -> None:
        save(path, kind)
        spoil(path)

    return make


def cut(path: Path) -> None:
    """Without its last bytes."""
    path.write_bytes(path.read_bytes()[:-100])


MGZ = partial(Case, base=base(nibabel.MGHImage, ".mgz"), doubtful="T1w/sub-05_T1w.mgz")
PAIR = partial(Case, base=base(nibabel.Nifti1Pair, ".img"), doubtful="T1w/sub-05_T1w.img")

OTHER_FORMATS = [
    MGZ(".mgz", partial(save, kind=nibabel.MGHImage), "accepted", like_sound=True),
    MGZ("truncated .mgz", spoiled(nibabel.MGHImage, cut), "refused", ("truncated or broken", "Download")),
    PAIR(".img/.hdr", partial(save, kind=nibabel.Nifti1Pair), "accepted", like_sound=True),
    PAIR(
        ".img without its .hdr",
        spoiled(nibabel.Nifti1Pair, lambda path: path.with_suffix(".hdr").unlink()),
        "refused",
        ("sub-05_T1w.hdr, the file of its header, is missing", "Copy it beside sub-05_T1w.img"),
    ),
    PAIR("truncated .img", spoiled(nibabel.Nifti1Pair, cut), "refused", ("truncated: the header claims", "Download")),
    PAIR(
        "Analyze 7.5",
        partial(save, kind=nibabel.AnalyzeImage),
        "refused",
        ("Analyze 7.5 keeps no orientation", "set data.assume_orientation"),
    ),
    PAIR(
        "Analyze 7.5 with assume_orientation",
        partial(save, kind=nibabel.AnalyzeImage),
        "warned",
        ("Analyze 7.5 keeps no orientation; RAS is assumed", "Compare a picture"),
        options={"assume_orientation": "RAS"},
        like_sound=True,
    ),
]
