"""Files that place their voxels in a doubtful way, or in one of the many good ones."""

import gzip
from functools import partial

import nibabel
import numpy as np
from bad_inputs.case import Case, content
from bad_inputs.heads import AFFINE, head, nifti, packed
from bad_inputs.nifti_cases import patched
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform

AGAIN = "Convert it again."
CENTER = np.array([*(np.array(head().shape) - 1) / 2, 1])

refused = partial(Case, outcome="refused")
warned = partial(Case, outcome="warned")
accepted = partial(Case, outcome="accepted", like_sound=True)


def centered(matrix: np.ndarray) -> np.ndarray:
    """Affine of a (3, 3) matrix with the image's middle in the origin."""
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = -(affine @ (CENTER * [1, 1, 1, 0]))[:3]
    return affine


def stored_as(codes: str, seed: int = 5) -> bytes:
    """A sound head with its axes in another order and direction."""
    change = ornt_transform(io_orientation(AFFINE), axcodes2ornt(codes))
    array = nibabel.apply_orientation(head(seed), change)
    return packed(nifti(array, AFFINE @ inv_ornt_aff(change, head().shape)))


def turned(degrees: float) -> np.ndarray:
    """Rotation about the left-right and the inferior-superior axis, times 9 mm."""
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    about_x = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    about_z = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    return 9 * about_x @ about_z


def codes(qform: int, sform: int, base: bytes | None = None) -> bytearray:
    """With qform_code and sform_code set to these."""
    return patched(252, "<2h", qform, sform, base=base)


def half_turn(excess: float, sform: int) -> bytearray:
    """The sound head stored as LPS, whose quaternion (0, 0, 1) is longer: its square by ``excess``."""
    base = gzip.decompress(stored_as("LPS"))
    return codes(1, sform, patched(256, "<3f", 0, 0, np.sqrt(1 + excess), base=base))


def scaled(factor: float) -> bytes:
    """The sound head with its affine in other units than mm."""
    return packed(nifti(affine=np.diag([factor, factor, factor, 1]) @ AFFINE))


SHEARED = centered(np.array([[9.0, 3, 0], [0, 9, 0], [0, 0, 9]]))
MOVED = AFFINE + np.array([[0, 0, 0, 12.5], [0] * 4, [0] * 4, [0] * 4])

AFFINES = [
    warned("sheared affine", content(packed(nifti(affine=SHEARED, qform=AFFINE))), says=("sheared", "Resample it")),
    refused("singular affine", content(packed(patched(280, "<4f", 0, 0, 0, 0))), says=("singular", AGAIN)),
    refused(
        "nearly singular affine",
        content(packed(patched(280, "<8f", 9, 9, 0, 0, 9, 9.001, 0, 0))),
        says=("singular", AGAIN),
    ),
    refused("NaN affine", content(packed(patched(280, "<f", np.nan))), says=("not finite", AGAIN)),
    refused("infinite affine", content(packed(patched(292, "<f", np.inf))), says=("not finite", AGAIN)),
    warned(
        "sform and qform disagree",
        content(packed(nifti(qform=MOVED))),
        says=("sform and qform disagree by up to 12.5 mm; the sform is used", "registration"),
        like_sound=True,
    ),
    refused(
        "neither sform nor qform",
        content(packed(codes(0, 0))),
        says=("neither sform nor qform is set", "set data.assume_orientation"),
    ),
    warned(
        "neither sform nor qform with assume_orientation",
        content(packed(codes(0, 0))),
        says=("neither sform nor qform is set; RAS is assumed", "Compare a picture"),
        options={"assume_orientation": "RAS"},
        like_sound=True,
    ),
    accepted("qform only", content(packed(codes(1, 0)))),
    accepted("sform only", content(packed(codes(0, 1)))),
    accepted("sform only, an invalid quaternion beside it", content(packed(codes(0, 1, patched(256, "<3f", 2, 2, 2))))),
    refused("zero pixdim", content(packed(patched(80, "<3f", 9, 0, 9))), says=("(9.0, 0.0, 9.0) mm in pixdim", AGAIN)),
    refused("negative pixdim", content(packed(patched(84, "<f", -9))), says=("-9.0", "pixdim", AGAIN)),
    refused("NaN pixdim", content(packed(patched(84, "<f", np.nan))), says=("nan", "pixdim", AGAIN)),
    refused(
        "bad quaternion",
        content(packed(codes(1, 0, patched(256, "<3f", 2, 2, 2)))),
        says=("quaternion is invalid", AGAIN),
    ),
    refused("NaN quaternion", content(packed(codes(1, 0, patched(256, "<f", np.nan)))), says=("quaternion is", AGAIN)),
    accepted("quaternion too long by rounding", content(packed(half_turn(1e-5, sform=0)))),
    refused("quaternion too long", content(packed(half_turn(1e-3, sform=0))), says=("quaternion is invalid", AGAIN)),
    accepted("quaternion too long by rounding beside the sform", content(packed(half_turn(1e-5, sform=1)))),
    warned(
        "bad quaternion beside the sform",
        content(packed(half_turn(1.0, sform=1))),
        says=("quaternion is invalid", "the sform is used", "Harmless here"),
        like_sound=True,
    ),
    accepted("pixdim[0] 0, which is 1", content(packed(codes(1, 0, patched(76, "<f", 0))))),
    warned(
        "pixdim unlike the affine",
        content(packed(codes(0, 1, patched(80, "<f", 12)))),
        says=("pixdim says 12 × 9 × 9 mm, the affine 9 × 9 × 9 mm", "correct pixdim"),
        like_sound=True,
    ),
    refused("affine in metres", content(scaled(1e-3)), says=("0.162 mm", "in mm")),
    refused("affine in micrometres", content(scaled(1e3)), says=("162,000 mm", "in mm")),
    *(accepted(f"stored as {name}", content(stored_as(name))) for name in ("LAS", "LPI", "PSR", "RAS")),
    # From an oblique affine, rounded to float32, the grid of the slices starts elsewhere by a part of a voxel.
    *(
        Case(f"oblique {angle}°", content(packed(nifti(affine=centered(turned(angle))))), "accepted")
        for angle in (12, 30)
    ),
]
