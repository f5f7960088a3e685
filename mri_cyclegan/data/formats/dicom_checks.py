"""Checks that a DICOM header must pass before the image is read or converted."""

import numpy as np

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.formats.dicom_image import (
    COPY,
    EXPORT,
    RANGES,
    ImageHeader,
    pydicom_errors_as_unfit,
    undecodable_error,
)

# Enhanced MR, and Legacy Converted Enhanced MR made of single-frame images: each frame has its own position.
ENHANCED = ("1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4")
FRAME_RANGES = ("SamplesPerPixel", "Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation")
MAX_FRAMES = 100_000

MULTI_FRAME = "Convert the series to NIfTI with dcm2niix, which knows where each frame lies."
LEAVE_OUT = "Leave it out: expected slices of one gray MR volume."


def check_image(header: ImageHeader) -> None:
    """Raise unless the image is one complete, gray, single-frame slice of an MR volume.

    Raises:
        UnfitFile: names the wrong tag or number of bytes.
    """
    path, texts, numbers = header.path, header.texts, header.numbers
    mosaic = "MOSAIC" in texts["ImageType"]
    # SOP classes derived from MR Image Storage append a number to its UID.
    derived = "".join(texts["SOPClassUID"]).startswith("1.2.840.10008.5.1.4.1.1.4.")
    if header.pixels_at and (derived or mosaic or numbers["NumberOfFrames"][0] > 1):
        kind = "a mosaic of slices" if mosaic else f"a multi-frame image (frames: {numbers['NumberOfFrames'][0]:g})"
        raise UnfitFile(path, f"{kind}; expected one slice a file", MULTI_FRAME)
    _check_kind(header)
    for keyword in RANGES:
        _check_range(header, keyword, *RANGES[keyword])
    _check_orientation(header)
    _check_pixels(header, num_frames=1)


def is_enhanced(header: ImageHeader) -> bool:
    """Whether it is a multi-frame image that stores a position for each frame."""
    return "".join(header.texts["SOPClassUID"]) in ENHANCED


def check_enhanced_multiframe(header: ImageHeader) -> None:
    """Raise unless the image is a complete, gray, multi-frame MR image.

    Raises:
        UnfitFile: names the wrong tag or number of bytes.
    """
    _check_kind(header)
    _check_range(header, "NumberOfFrames", 1, 1, MAX_FRAMES)
    for keyword in FRAME_RANGES:
        _check_range(header, keyword, *RANGES[keyword])
    _check_pixels(header, header.integer("NumberOfFrames"))


def check_geometry(header: ImageHeader) -> None:
    """Raise unless the image has a valid position, pixel spacing and orientation.

    Raises:
        UnfitFile: names the wrong tag.
    """
    for keyword in ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"):
        _check_range(header, keyword, *RANGES[keyword])
    _check_orientation(header)


def _check_kind(header: ImageHeader) -> None:
    path, texts = header.path, header.texts
    if header.pixels_at == 0:
        raise UnfitFile(path, "no pixel data: truncated, or not an image", COPY)
    for keyword, wanted in (("Modality", "MR"), ("PhotometricInterpretation", "MONOCHROME2")):
        if texts[keyword] != (wanted,):
            found = " ".join(texts[keyword])[:32]
            raise UnfitFile(path, f"{keyword} is {found or 'missing'}; expected {wanted}", LEAVE_OUT)
    if "LOCALIZER" in texts["ImageType"]:
        raise UnfitFile(path, "a localizer (ImageType LOCALIZER), not a slice of a volume", LEAVE_OUT)


def _check_range(header: ImageHeader, keyword: str, count: int, low: float, high: float) -> None:
    values = header.numbers[keyword]
    if len(values) == count and all(low <= value <= high for value in values):
        return
    found = ", ".join(f"{value:g}" for value in values[: count + 1]) or "missing"
    kind = "a number" if count == 1 else f"{count} numbers"
    expected = f"{low:g}" if low == high else f"{kind} from {low:g} to {high:g}"
    raise UnfitFile(header.path, f"{keyword} is {found}; expected {expected}", EXPORT)


def _check_orientation(header: ImageHeader) -> None:
    axes = np.array(header.numbers["ImageOrientationPatient"]).reshape(2, 3)
    # Some scanners write only three decimals.
    if np.abs(axes @ axes.T - np.eye(2)).max() > 0.005:
        found = ", ".join(f"{value:g}" for value in axes.ravel())
        problem = f"ImageOrientationPatient is {found}; expected two unit vectors at right angles"
        raise UnfitFile(header.path, problem, EXPORT)


def _check_pixels(header: ImageHeader, num_frames: int) -> None:
    rows, columns, allocated, stored = map(header.integer, ("Rows", "Columns", "BitsAllocated", "BitsStored"))
    if header.numbers["HighBit"] not in ((), (stored - 1,)) or stored > allocated or allocated % 8:
        high = " ".join(f"{bit:g}" for bit in header.numbers["HighBit"][:1])
        problem = f"{allocated} bits allocated, {stored} stored, high bit {high}"
        raise UnfitFile(header.path, f"{problem}; expected 8 or 16, no more, and stored - 1", EXPORT)
    num_left = header.num_bytes - header.pixels_at
    size = num_frames * rows * columns * allocated // 8
    problem = f"{min(num_left, header.num_pixel_bytes)} bytes of pixel data"
    remedy = COPY if num_left < header.num_pixel_bytes else EXPORT
    if _is_compressed(header):
        # A compressed stream is hardly larger than the image it encodes.
        if header.num_pixel_bytes > 2 * size + 4096:
            raise UnfitFile(header.path, f"{problem}; expected less than the {size} bytes they encode", remedy)
    elif num_left < size or header.num_pixel_bytes not in (size, size + size % 2):
        frames = f"{num_frames} frames of " if num_frames > 1 else ""
        expected = f"expected {size} for {frames}{columns} x {rows} of {allocated} bits"
        raise UnfitFile(header.path, f"{problem}; {expected}", remedy)


def _is_compressed(header: ImageHeader) -> bool:
    with pydicom_errors_as_unfit(header.path):
        from pydicom.pixels import get_decoder

        try:
            decoder = get_decoder(header.syntax)
        except NotImplementedError:
            raise undecodable_error(header.path, header.syntax) from None
        if not decoder.is_available:
            raise undecodable_error(header.path, header.syntax)
        return decoder.is_encapsulated
