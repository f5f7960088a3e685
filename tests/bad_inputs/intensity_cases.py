"""Files whose intensities are doubtful, or stored in one of the many ways."""

from functools import partial

import nibabel
import numpy as np
from bad_inputs.case import Case, content
from bad_inputs.heads import head, nifti, packed
from bad_inputs.nifti_cases import patched

REPAIR = "Repair or remove the file"

refused = partial(Case, outcome="refused")
dropped = partial(Case, outcome="dropped")
accepted = partial(Case, outcome="accepted", like_sound=True)


def with_voxels(*values: float) -> bytes:
    """The sound head as float32, its first voxels overwritten."""
    array = head().astype(np.float32)
    array[0, 0, : len(values)] = values
    return packed(nifti(array))


INTENSITIES = [
    refused(
        "NaN voxels", content(with_voxels(np.nan, np.nan)), says=("2 of 3456 voxels", REPAIR, "data.nonfinite=zero")
    ),
    refused("infinite voxels", content(with_voxels(np.inf, -np.inf, np.nan)), says=("3 of 3456 voxels", REPAIR)),
    refused("float64 beyond float32", content(packed(nifti(head() * 1e300))), says=("voxels", "infinite", REPAIR)),
    refused("a marker for missing voxels", content(with_voxels(-3.4e38)), says=("1 of 3456 voxels", REPAIR)),
    Case(
        "NaN and infinite voxels with nonfinite=zero",
        content(with_voxels(np.nan, np.inf)),
        "warned",
        says=("2 of 3456 voxels", "taken for 0", "Repair the file."),
        options={"nonfinite": "zero"},
    ),
    dropped("all zero", content(packed(nifti(np.zeros_like(head())))), says=("same value", "left out")),
    dropped("constant", content(packed(nifti(np.full_like(head(), 7)))), says=("same value", "left out")),
    dropped(
        "all NaN with nonfinite=zero",
        content(packed(nifti(np.full(head().shape, np.nan, np.float32)))),
        says=("same value", "left out"),
        options={"nonfinite": "zero"},
    ),
    refused(
        "infinite scl_slope", content(packed(patched(112, "<f", np.inf))), says=("scl_slope inf", "Convert it again.")
    ),
    refused(
        "NaN scl_inter", content(packed(patched(112, "<2f", 2, np.nan))), says=("scl_inter nan", "Convert it again.")
    ),
    accepted("scl_slope", content(packed(patched(112, "<2f", 0.5, 10)))),
    accepted("scl_slope 0, which is none", content(packed(patched(112, "<2f", 0, 99)))),
    accepted("scl_slope NaN, which is none", content(packed(patched(112, "<2f", np.nan, 99)))),
    *(accepted(np.dtype(kind).name, content(packed(nifti(head().astype(kind))))) for kind in ("u2", "i4", "f4", "f8")),
    accepted("uint16 beyond int16", content(packed(nifti(head().astype(np.uint16) * 50)))),
    accepted("big-endian", content(packed(nifti(header=nibabel.Nifti1Header(endianness=">"))))),
    accepted("NIfTI-2", content(packed(nifti(kind=nibabel.Nifti2Image)))),
    accepted("uncompressed", content(nifti()), doubtful="T1w/sub-05_T1w.nii"),
    accepted("an empty last gzip member, as bgzip writes it", content(packed(nifti()) + packed(b""))),
    accepted("zeros after the gzip trailer, as tapes leave them", content(packed(nifti()) + bytes(512))),
]
