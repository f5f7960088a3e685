"""Folders that miss something, lead nowhere, are closed, or hold a scan twice."""

import gzip
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from bad_inputs.affine_cases import stored_as
from bad_inputs.case import Case, content
from bad_inputs.heads import head, nifti, packed, sound_scan, write, write_bids

SEARCH_PATHS = "Searched for T1w/**/*.nii[.gz] and T2w/**/*.nii[.gz]"
MEND = "Mend the link"
PERMIT = "permission"

refused = partial(Case, outcome="refused")
incomplete = partial(Case, outcome="refused", doubtful="", detects=False)
closed = partial(Case, outcome="refused", privileges=False)


def link(target: str) -> Callable[[Path], object]:
    """Makes a link, relative to the folder it lies in."""
    return lambda path: path.symlink_to(target)


def without(name: str) -> Callable[[Path], object]:
    """Removes a folder of the data set."""
    return lambda root: shutil.rmtree(root / name)


def forbid(path: Path) -> None:
    """Nobody may open it."""
    path.chmod(0)


def make_and_forbid(path: Path) -> None:
    """A sound scan that nobody may open, or a folder of one."""
    file = path if path.name.endswith(".gz") else path / "scan_T1w.nii.gz"
    write(file, sound_scan(5, "T1w"))
    forbid(path)


def link_into_closed_folder(path: Path) -> None:
    """A link to what lies in a folder outside the data set that nobody may enter."""
    outside = path.parents[2] / "closed"
    (outside / "sub-05").mkdir(parents=True)
    path.symlink_to(outside / "sub-05")
    forbid(outside)


def nothing(root: Path) -> None:
    """Leaves the data set as it is."""


INCOMPLETE = [
    incomplete(
        "empty folder",
        nothing,
        base=nothing,
        says=("both contrasts are needed, found 0 of T1w, 0 of T2w", SEARCH_PATHS, "the folder holds nothing"),
    ),
    incomplete(
        "only one contrast",
        without("T2w"),
        says=(
            "both contrasts are needed, found 4 of T1w, 0 of T2w",
            SEARCH_PATHS,
            "the folder holds T1w",
            "data.contrasts",
        ),
    ),
    incomplete(
        "empty contrast folder",
        lambda root: (shutil.rmtree(root / "T2w"), (root / "T2w").mkdir()),
        says=("found 4 of T1w, 0 of T2w", SEARCH_PATHS, "the folder holds T1w, T2w"),
    ),
    incomplete(
        "only one contrast, BIDS",
        lambda root: [path.unlink() for path in root.rglob("*_T2w.nii.gz")],
        layout="bids",
        says=("found 4 of T1w, 0 of T2w", "sub-*/[ses-*/]anat/*_T2w.nii[.gz]", "sub-01, sub-02"),
    ),
    incomplete(
        "another layout",
        nothing,
        layout="bids",
        base=lambda root: Case("", nothing, "accepted").build(root / "inner"),
        says=("found 0 of T1w, 0 of T2w", "the folder holds inner", "bids, folder, png, dicom"),
    ),
    incomplete(
        "only unfit scans of one contrast",
        lambda root: [path.write_bytes(b"") for path in (root / "T2w").iterdir()],
        doubtful="",
        says=("T2w",),
    ),
]

COPY = "the same voxels as"
COPIES = [
    refused("a copy under another name", content(sound_scan(0, "T1w")), says=(COPY, "sub-01_T1w.nii.gz", "Remove one")),
    refused(
        "a copy packed again",
        content(gzip.compress(nifti(head(0, "T1w")), compresslevel=1)),
        says=(COPY, "sub-01_T1w.nii.gz", "Remove one"),
    ),
    refused("a copy, not packed", content(nifti(head(0, "T1w"))), doubtful="T1w/sub-05.nii", says=(COPY, "sub-01_T1w")),
    refused(
        "a copy stored in another type",
        content(packed(nifti(head(0, "T1w").astype(np.float64)))),
        says=(COPY, "sub-01_T1w"),
    ),
    refused("a copy stored in another orientation", content(stored_as("PIL", 0)), says=(COPY, "sub-01_T1w")),
    refused("a copy as the other contrast", content(sound_scan(1, "T2w")), says=(COPY, "sub-02_T2w.nii.gz")),
]

LINKS = [
    refused("broken symlink", link("gone.nii.gz"), says=("a link to gone.nii.gz, which does not exist", MEND)),
    refused("symlink to itself", link("sub-05_T1w.nii.gz"), says=("a link to sub-05_T1w.nii.gz", "circle", MEND)),
    refused("broken symlink of a folder", link("gone"), doubtful="T1w/sub-05", says=("a link to gone", MEND)),
    refused("symlink of a folder to itself", link("sub-05"), doubtful="T1w/sub-05", says=("circle", MEND)),
    *(
        refused(f"broken symlink, BIDS {place}", link("gone"), doubtful=place, layout="bids", says=("gone", MEND))
        for place in (
            "sub-05",
            "sub-05/anat",
            "sub-05/ses-1",
            "sub-05/ses-1/anat",
            "sub-04/anat/sub-04_rec-2_T1w.nii.gz",
        )
    ),
    *(
        Case(
            f"symlink loop to {target}", link(target), "warned", doubtful="T1w/sub-05/up", says=("leads back", "Remove")
        )
        for target in (".", "..", "../..", "../../..")
    ),
    Case("symlink to a scan", lambda path: link_to_scan(path), "accepted", like_sound=True),
]


def link_to_scan(path: Path) -> None:
    """As git-annex and DataLad keep files."""
    store = write(path.parents[2] / "annex" / "SHA256-0123", sound_scan(5, "T1w"))
    path.symlink_to(store)


CLOSED = [
    closed("closed file", make_and_forbid, says=("Permission denied", "may be read")),
    closed("closed folder", make_and_forbid, doubtful="T1w/sub-05", says=("Permission denied", PERMIT)),
    closed("closed folder, BIDS", forbid, doubtful="sub-04/anat", layout="bids", says=("Permission denied", PERMIT)),
    closed("closed subject, BIDS", forbid, doubtful="sub-04", layout="bids", says=("Permission denied", PERMIT)),
    closed("closed contrast", forbid, doubtful="T2w", detects=False, says=("Permission denied", PERMIT)),
    closed("closed data set", forbid, doubtful="", detects=False, says=("Permission denied",)),
    closed(
        "closed data set, BIDS", forbid, doubtful="", layout="bids", detects=False, says=("Permission denied", PERMIT)
    ),
    closed("link into a closed folder", link_into_closed_folder, doubtful="T1w/sub-05", says=("Permission denied",)),
    closed("link into a closed folder, as a scan", link_into_closed_folder, says=("Permission denied", "may be read")),
    closed(
        "link into a closed folder, BIDS",
        lambda path: link_into_closed_folder(path),
        doubtful="sub-05/anat",
        layout="bids",
        says=("Permission denied",),
    ),
]

NAMES = [
    Case(f"a name like {name}", content(sound_scan(5, "T1w")), "accepted", doubtful=f"T1w/{name}", like_sound=True)
    for name in (
        "sub 05 T1w.nii.gz",
        "sub-05#2_T1w.nii.gz",
        "a=b,c:{d}[e]$f_T1w.nii.gz",
        "Müller 頭 é_T1w.nii.gz",
        "with 'quotes' and \"more\"/x.nii.gz",
        "UPPER.NII.GZ",
    )
]

# A subject is in one part: what participants.tsv says twice must agree.
PARTS = "participant_id\tpart\nsub-01\ttrain\nsub-02\ttrain\nsub-03\tval\nsub-04\ttest\n"
SPLITS = [
    Case(
        "subject in two parts",
        lambda path: write(path, (PARTS + "sub-04\ttrain\n").encode()),
        "refused",
        doubtful="participants.tsv",
        layout="bids",
        base=write_bids,
        train_options={"split_column": "part"},
        says=("sub-04 has two rows", "test and train", "Keep one."),
    ),
]
