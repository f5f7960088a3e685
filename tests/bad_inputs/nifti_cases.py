"""Files that are broken as NIfTI, or hold no 3-D image."""

import gzip
import struct
from functools import partial

import numpy as np
from bad_inputs.case import Case, content
from bad_inputs.heads import head, nifti, packed

PLAIN = "T1w/sub-05_T1w.nii"
AGAIN = "Download or convert it again."
ONE_VOLUME = "expected one 3-D volume"

refused = partial(Case, outcome="refused")


def patched(offset: int, form: str, *values: object, base: bytes | None = None) -> bytearray:
    """A NIfTI-1 file with header fields overwritten, see nifti1.h for their offsets."""
    changed = bytearray(nifti() if base is None else base)
    struct.pack_into(form, changed, offset, *values)
    return changed


def flipped(original: bytes, index: int) -> bytes:
    """With the bits of one byte turned over."""
    changed = bytearray(original)
    changed[index] ^= 0xFF
    return bytes(changed)


def four_d() -> bytearray:
    """Three volumes, of which the second is the sound head."""
    return nifti(np.stack([head(6), head(), head(7)], axis=-1))


WHOLE = packed(nifti())
STORED = gzip.compress(nifti(), compresslevel=0, mtime=0)
NO_COLOR = np.zeros((4, 5, 6), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))

BROKEN = [
    refused("truncated .nii", content(nifti()[:-500]), says=("truncated", AGAIN), doubtful=PLAIN),
    refused("truncated within the header", content(nifti()[:300]), says=("truncated", AGAIN), doubtful=PLAIN),
    refused("truncated .nii.gz", content(WHOLE[:-500]), says=("truncated or broken", AGAIN)),
    refused("no gzip trailer", content(WHOLE[:-8]), says=("truncated or broken", AGAIN)),
    refused("wrong CRC", content(flipped(WHOLE, -8)), says=("CRC check failed", AGAIN)),
    refused("wrong length in the gzip trailer", content(flipped(WHOLE, -1)), says=("truncated or broken", AGAIN)),
    refused("flipped payload byte", content(flipped(STORED, 3000)), says=("CRC check failed", AGAIN)),
    refused(
        "bytes after the end of .nii", content(nifti() + b"\0" * 10), says=("10 bytes after", AGAIN), doubtful=PLAIN
    ),
    refused("bytes after the end of .nii.gz", content(WHOLE + b"junk"), says=("truncated or broken", AGAIN)),
    refused("a second gzip member", content(WHOLE + packed(b"more")), says=("after the last voxel", AGAIN)),
    refused("uncompressed, named .gz", content(nifti()), says=("not compressed", "Rename it to .nii.")),
    refused("gzip, named .nii", content(WHOLE), says=("gzip data", "Rename it to .nii.gz."), doubtful=PLAIN),
    refused("text, named .gz", content(b"subject\tage\n" * 50), says=("neither gzip data nor NIfTI", AGAIN)),
    refused("a web page, named .nii", content(b"<!DOCTYPE html>" * 50), says=("no NIfTI header",), doubtful=PLAIN),
    refused("empty .nii", content(b""), says=("empty", AGAIN), doubtful=PLAIN),
    refused("empty .nii.gz", content(b""), says=("empty", AGAIN)),
    refused("bad magic", content(packed(patched(344, "<4s", b"abcd"))), says=("bad magic", "Convert it again.")),
    refused(
        "header of a pair", content(packed(patched(344, "<4s", b"ni1\0"))), says=("two files", "Convert it again.")
    ),
    refused(
        "data offset within the header",
        content(patched(108, "<f", 100)),
        says=("bad data offset 100.0",),
        doubtful=PLAIN,
    ),
    refused("data offset beyond the end", content(patched(108, "<f", 1e6)), says=("truncated", AGAIN), doubtful=PLAIN),
    refused("data offset NaN", content(packed(patched(108, "<f", np.nan))), says=("bad data offset nan",)),
]

TOO_LARGE = [
    refused(
        f"header bomb {name}",
        content(pack(patched(42, "<3h", 30_000, 30_000, 30_000))),
        says=("27,000,000,000,000 voxels", "Crop or resample it."),
        doubtful=doubtful,
    )
    for name, pack, doubtful in (
        (".nii", bytes, PLAIN),
        (".nii.gz", packed, Case.doubtful),
    )
] + [
    refused(
        "header bomb below the limit of voxels",
        content(packed(patched(42, "<3h", 500, 500, 500))),
        says=("the header claims 250,000,352 bytes", AGAIN),
    ),
    refused(
        "header bomb in the fourth axis",
        content(packed(patched(40, "<5h", 4, 16, 18, 12, 30_000, base=four_d()))),
        says=("the header claims 207,360,352 bytes", AGAIN),
        options={"volume_index": 1},
    ),
    refused("gzip bomb", content(packed(nifti() + bytes(20_000_000))), says=("after the last voxel", AGAIN)),
]

SHAPES = [
    refused("negative dims", content(patched(42, "<h", -16)), says=("(-16, 18, 12)", ONE_VOLUME), doubtful=PLAIN),
    refused("zero dims", content(packed(patched(42, "<h", 0))), says=("(0, 18, 12)", ONE_VOLUME)),
    refused("no axes", content(packed(patched(40, "<h", 0))), says=("0 axes", ONE_VOLUME)),
    refused("200 axes", content(packed(patched(40, "<h", 200))), says=("200 axes", ONE_VOLUME)),
    refused("4-D", content(packed(four_d())), says=("4-D image (16, 18, 12, 3)", ONE_VOLUME, "Set data.volume_index")),
    refused(
        "4-D with volume_index beyond it",
        content(packed(four_d())),
        says=("data.volume_index=3", "volumes 0 to 2", "Choose one of these."),
        options={"volume_index": 3},
    ),
    Case("4-D with volume_index", content(packed(four_d())), "accepted", options={"volume_index": 1}, like_sound=True),
    Case("singleton fourth axis", content(packed(nifti(head()[..., None]))), "accepted", like_sound=True),
    refused(
        "5-D",
        content(packed(nifti(np.zeros((4, 5, 6, 1, 2), np.int16)))),
        says=("5-D image (4, 5, 6, 1, 2)", ONE_VOLUME, "Split the file."),
        options={"volume_index": 0},
    ),
    refused("RGB", content(packed(nifti(NO_COLOR))), says=("expected real gray values", "Convert it")),
    refused(
        "complex",
        content(packed(nifti(head().astype(np.complex64)))),
        says=("complex64", "expected real gray values", "take its magnitude"),
    ),
    refused(
        "unknown voxel type", content(packed(patched(70, "<h", 999))), says=("voxel type 999", "Convert it again.")
    ),
    refused(
        "bits that do not fit the type", content(packed(patched(72, "<h", 8))), says=("8 bits", "Convert it again.")
    ),
    Case("one slice", content(packed(nifti(head()[:, :, 6:7]))), "accepted"),
    Case("2-D", content(packed(nifti(head()[:, :, 6]))), "accepted"),
]
