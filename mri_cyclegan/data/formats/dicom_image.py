"""One DICOM file: its header as plain values, its checks, its pixels."""

import io
import logging
import os
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mri_cyclegan.data.findings import UnfitFile

# Keyword to how many numbers, the least and the greatest (lengths in mm): every affine is finite and can be inverted.
RANGES: dict[str, tuple[int, float, float]] = {
    "NumberOfFrames": (1, 1, 1),
    "SamplesPerPixel": (1, 1, 1),
    "Rows": (1, 1, 65535),
    "Columns": (1, 1, 65535),
    "BitsAllocated": (1, 8, 16),
    "BitsStored": (1, 1, 16),
    "PixelRepresentation": (1, 0, 1),
    "RescaleSlope": (1, 1e-12, 1e9),
    "RescaleIntercept": (1, -1e9, 1e9),
    "PixelSpacing": (2, 1e-3, 1e3),
    "ImagePositionPatient": (3, -1e5, 1e5),
    "ImageOrientationPatient": (6, -1.01, 1.01),
}
DEFAULTS = {"NumberOfFrames": (1.0,), "RescaleSlope": (1.0,), "RescaleIntercept": (0.0,)}
NUMBERS = (*RANGES, "HighBit", "SpacingBetweenSlices", "SliceThickness")
REPEATS = (  # what may tell apart images of one place
    "EchoTime",
    "EchoNumbers",
    "InversionTime",
    "FlipAngle",
    "TriggerTime",
    "DiffusionBValue",
    "TemporalPositionIdentifier",
    "AcquisitionNumber",
    "ImageType",
)
TEXTS = (
    "SOPClassUID",
    "SeriesInstanceUID",
    "SeriesDescription",
    "Modality",
    "PhotometricInterpretation",
    "LossyImageCompression",
    *REPEATS,
)

COPY = "Copy or export it again, or remove it if it is no image."
EXPORT = "Export the series again, or convert it to NIfTI with dcm2niix."
MULTI_FRAME = "Convert the series to NIfTI with dcm2niix, which knows where each frame lies."
LEAVE_OUT = "Leave it out: expected slices of one grey MR volume."


@dataclass(frozen=True)
class ImageHeader:
    """What one file says of its image, as plain values.

    Attributes:
        path: the file.
        num_bytes: its length.
        syntax: its TransferSyntaxUID.
        numbers: keyword to values; () where the tag is missing, NaN where it is broken.
        texts: keyword to values; () where the tag is missing, "" where it is broken.
        pixels_at: offset of the pixel data; 0 if there are none.
        num_pixel_bytes: length of the pixel data, as claimed.
        pixel_vr: value representation of the pixel data.
    """

    path: Path
    num_bytes: int
    syntax: str
    numbers: dict[str, tuple[float, ...]]
    texts: dict[str, tuple[str, ...]]
    pixels_at: int
    num_pixel_bytes: int
    pixel_vr: str

    def integer(self, keyword: str) -> int:
        """The one value of a checked tag."""
        return int(self.numbers[keyword][0])


class _ClippedReader(io.BufferedReader):
    """Asks for no more than the file has left: ``read(n)`` allocates n bytes first, and n is what a header claims."""

    @property
    def num_bytes(self) -> int:
        return os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(self.num_bytes - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Silence pydicom, and turn whatever it raises into a refusal without its words, which may quote the file."""
    logger = logging.getLogger("pydicom")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (UnfitFile, MemoryError):
        raise
    except ModuleNotFoundError as error:
        remedy = "Install it with: pip install 'mri-cyclegan[dicom]'"
        raise UnfitFile(path, "DICOM files are read with pydicom 3, which is not installed", remedy) from error
    except Exception as error:
        # pydicom raises OSErrors of its own, which have no number.
        if isinstance(error, OSError) and error.errno is not None:
            remedy = "Check that it exists and may be read."
            raise UnfitFile(path, f"cannot be read ({error.strerror})", remedy) from error
        raise UnfitFile(path, f"broken DICOM file ({type(error).__name__})", COPY) from error
    finally:
        logger.setLevel(level)


def read_header(path: Path) -> ImageHeader:
    """Read a file up to its pixel data; tags that are not needed, the patient's among them, are skipped.

    Raises:
        UnfitFile: the file is not DICOM, or ends before its series is known.
    """
    with _refusing(path):
        from pydicom import pixels, uid  # noqa: F401 - version 2 has no pixels
        from pydicom.filereader import read_dataset
        from pydicom.tag import Tag

        with _ClippedReader(io.FileIO(path)) as file:
            if file.read(132)[128:] != b"DICM":
                raise UnfitFile(path, "no DICM mark at byte 128: truncated, or not a DICOM file", COPY)
            meta = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
            syntax = "".join(_values(meta, "TransferSyntaxUID", _text, ""))
            if syntax == uid.DeflatedExplicitVRLittleEndian:  # before pydicom inflates it to any size
                raise _undecodable(path, syntax)
            dataset = read_dataset(
                file,
                is_implicit_VR=syntax == uid.ImplicitVRLittleEndian,
                is_little_endian=syntax != uid.ExplicitVRBigEndian,
                stop_when=lambda tag, vr, length: tag >= 0x7FE00008,
                defer_size=1024,  # no value of ours is longer, whatever a header claims
                specific_tags=[Tag(keyword) for keyword in (*NUMBERS, *TEXTS)],
            )
            numbers = {keyword: _values(dataset, keyword, float, float("nan")) for keyword in NUMBERS}
            numbers |= {keyword: numbers[keyword] or values for keyword, values in DEFAULTS.items()}
            texts = {keyword: _values(dataset, keyword, _text, "") for keyword in TEXTS}
            if not any(texts["SeriesInstanceUID"]):
                raise UnfitFile(path, "SeriesInstanceUID is missing or broken; the file may be truncated", COPY)
            return ImageHeader(path, file.num_bytes, syntax, numbers, texts, *_find_pixels(file, dataset))


def _values(dataset: Any, keyword: str, kind: Callable[[Any], Any], broken: Any) -> tuple[Any, ...]:
    """Values of one tag; pydicom converts on access, and raises nearly anything there."""
    from pydicom.dataelem import RawDataElement

    try:
        raw = dataset.get_item(keyword, keep_deferred=True)
        if raw is None:
            return ()
        if isinstance(raw, RawDataElement) and len(raw.value or b"") != raw.length:
            return (broken,)  # the file ends within it, or it is absurdly long
        element = dataset[keyword]
        return tuple(kind(value) for value in ([element.value] if element.VM == 1 else element.value or ()))
    except Exception:
        return (broken,)


def _text(value: Any) -> str:
    text = str(value)
    if not text.isprintable():  # a broken length makes a value run on into its neighbours, which may name the patient
        raise ValueError("control characters")
    return text


def _find_pixels(file: io.BufferedReader, dataset: Any) -> tuple[int, int, str]:
    """Offset, claimed length and value representation of the pixel data that the file is positioned at."""
    from pydicom.fileutil import read_undefined_length_value
    from pydicom.tag import SequenceDelimiterTag

    implicit, little = dataset.original_encoding
    start = file.tell()
    head = file.read(8 if implicit else 12)
    order = "<" if little else ">"
    if len(head) < (8 if implicit else 12) or struct.unpack_from(f"{order}HH", head) != (0x7FE0, 0x0010):
        return 0, 0, ""
    (length,) = struct.unpack_from(f"{order}L", head, len(head) - 4)
    offset = start + len(head)
    if length == 0xFFFFFFFF:  # fragments of a compressed image; raises unless they come to an end
        read_undefined_length_value(file, little, SequenceDelimiterTag, defer_size=0)
        length = file.tell() - offset
    return offset, length, "OW" if implicit else head[4:6].decode("ascii", "replace")


def check_image(header: ImageHeader) -> None:
    """Refuse what is not one whole, grey, single-frame slice of an MR volume.

    Raises:
        UnfitFile: with the tag or the number of bytes that is wrong.
    """
    path, texts, numbers = header.path, header.texts, header.numbers
    if header.pixels_at == 0:
        raise UnfitFile(path, "no pixel data: truncated, or not an image", COPY)
    # Enhanced MR, legacy converted and the like: MR Image Storage is the one without a further number.
    enhanced = "".join(texts["SOPClassUID"]).startswith("1.2.840.10008.5.1.4.1.1.4.")
    mosaic = "MOSAIC" in texts["ImageType"]
    if enhanced or mosaic or numbers["NumberOfFrames"][0] > 1:
        kind = "a mosaic of slices" if mosaic else f"a multi-frame image (frames: {numbers['NumberOfFrames'][0]:g})"
        raise UnfitFile(path, f"{kind}; expected one slice a file", MULTI_FRAME)
    for keyword, wanted in (("Modality", "MR"), ("PhotometricInterpretation", "MONOCHROME2")):
        if texts[keyword] != (wanted,):
            found = " ".join(texts[keyword])[:32]
            raise UnfitFile(path, f"{keyword} is {found or 'missing'}; expected {wanted}", LEAVE_OUT)
    if "LOCALIZER" in texts["ImageType"]:
        raise UnfitFile(path, "a localizer (ImageType LOCALIZER), not a slice of a volume", LEAVE_OUT)
    for keyword in RANGES:
        _check_range(header, keyword)
    _check_orientation(header)
    _check_pixels(header)


def _check_range(header: ImageHeader, keyword: str) -> None:
    count, low, high = RANGES[keyword]
    values = header.numbers[keyword]
    if len(values) == count and all(low <= value <= high for value in values):
        return
    found = ", ".join(f"{value:g}" for value in values[: count + 1]) or "missing"
    kind = "a number" if count == 1 else f"{count} numbers"
    expected = f"{low:g}" if low == high else f"{kind} from {low:g} to {high:g}"
    raise UnfitFile(header.path, f"{keyword} is {found}; expected {expected}", EXPORT)


def _check_orientation(header: ImageHeader) -> None:
    axes = np.array(header.numbers["ImageOrientationPatient"]).reshape(2, 3)
    # Some scanners write three decimals.
    if np.abs(axes @ axes.T - np.eye(2)).max() > 0.005:
        found = ", ".join(f"{value:g}" for value in axes.ravel())
        problem = f"ImageOrientationPatient is {found}; expected two unit vectors at right angles"
        raise UnfitFile(header.path, problem, EXPORT)


def _check_pixels(header: ImageHeader) -> None:
    rows, columns, allocated, stored = map(header.integer, ("Rows", "Columns", "BitsAllocated", "BitsStored"))
    if header.numbers["HighBit"] not in ((), (stored - 1,)) or stored > allocated or allocated % 8:
        high = " ".join(f"{bit:g}" for bit in header.numbers["HighBit"][:1])
        problem = f"{allocated} bits allocated, {stored} stored, high bit {high}"
        raise UnfitFile(header.path, f"{problem}; expected 8 or 16, no more, and stored - 1", EXPORT)
    num_left = header.num_bytes - header.pixels_at
    size = rows * columns * allocated // 8
    problem = f"{min(num_left, header.num_pixel_bytes)} bytes of pixel data"
    remedy = COPY if num_left < header.num_pixel_bytes else EXPORT
    if _is_compressed(header):
        # A stream hardly outgrows what it encodes.
        if header.num_pixel_bytes > 2 * size + 4096:
            raise UnfitFile(header.path, f"{problem}; expected less than the {size} bytes they encode", remedy)
    elif num_left < size or header.num_pixel_bytes not in (size, size + size % 2):
        raise UnfitFile(header.path, f"{problem}; expected {size} for {columns} x {rows} of {allocated} bits", remedy)


def _is_compressed(header: ImageHeader) -> bool:
    with _refusing(header.path):
        from pydicom.pixels import get_decoder

        try:
            decoder = get_decoder(header.syntax)
        except NotImplementedError:
            raise _undecodable(header.path, header.syntax) from None
        if not decoder.is_available:
            raise _undecodable(header.path, header.syntax)
        return decoder.is_encapsulated


def _undecodable(path: Path, syntax: str) -> UnfitFile:
    from pydicom.uid import UID

    return UnfitFile(
        path,
        f"pixels in the transfer syntax {UID(syntax).name or 'of no name'} cannot be decoded",
        "Decompress the series, e.g. with gdcmconv --raw, or convert it to NIfTI with dcm2niix.",
    )


def stored_values(header: ImageHeader) -> np.ndarray:
    """Pixels of a checked image as stored, (Rows, Columns).

    Raises:
        UnfitFile: they cannot be decoded.
    """
    with _refusing(header.path):
        from pydicom.pixels import get_decoder

        with _ClippedReader(io.FileIO(header.path)) as file:
            file.seek(header.pixels_at)
            content = file.read(header.num_pixel_bytes)
        description: dict[str, Any] = dict(
            rows=header.integer("Rows"),
            columns=header.integer("Columns"),
            bits_allocated=header.integer("BitsAllocated"),
            bits_stored=header.integer("BitsStored"),
            pixel_representation=header.integer("PixelRepresentation"),
            samples_per_pixel=1,
            number_of_frames=1,
            photometric_interpretation="MONOCHROME2",
            pixel_keyword="PixelData",
            pixel_vr=header.pixel_vr,
        )
        decoded = get_decoder(header.syntax).as_array(content, index=0, raw=True, **description)[0]
    return _without_overlay(decoded, header.integer("BitsStored"), is_signed=bool(description["pixel_representation"]))


def _without_overlay(decoded: np.ndarray, bits_stored: int, is_signed: bool) -> np.ndarray:
    """Keep the stored bits alone: those above may hold an overlay, which not every decoder takes away."""
    size = decoded.dtype.itemsize
    unused = max(8 * size - bits_stored, 0)
    # To the left as whole numbers without a sign, and back with it.
    shifted = decoded.astype(f"{'i' if is_signed else 'u'}{size}").view(f"u{size}") << unused
    return (shifted.view(f"i{size}") if is_signed else shifted) >> unused
