"""One DICOM file: its header as plain values, and its pixels."""

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
from mri_cyclegan.data.formats.dicom_files import (
    NUM_START_BYTES,
    PREAMBLE_AND_MARK,
    begins_data_set,
    is_explicit,
    is_marked,
)

# Keyword to number of values, minimum and maximum (lengths in mm); within them every affine is finite and invertible.
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
NUMBERS = (*RANGES, "HighBit", "SpacingBetweenSlices", "SliceThickness", "ImagesInAcquisition")

REPEATS = (  # tags that may distinguish images at the same position
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


@dataclass(frozen=True)
class ImageHeader:
    """Header of one DICOM file, as plain values.

    Attributes:
        path: the file.
        num_bytes: length of the file.
        syntax: its TransferSyntaxUID.
        numbers: keyword to values; () where the tag is missing, NaN where it is broken.
        texts: keyword to values; () where the tag is missing, "" where it is broken.
        pixels_at: offset of the pixel data; 0 if there are none.
        num_pixel_bytes: length of the pixel data, as the header claims.
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
        """Return the single value of a checked tag."""
        return int(self.numbers[keyword][0])


class _ClippedReader(io.BufferedReader):
    """Reads at most what the file has left: ``read(n)`` allocates n bytes first, and a header may claim any n."""

    @property
    def num_bytes(self) -> int:
        return os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(self.num_bytes - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))


@contextmanager
def pydicom_errors_as_unfit(path: Path) -> Iterator[None]:
    """Silence pydicom, and turn its exceptions into UnfitFile without their text, which may quote the file."""
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
        # OSErrors raised by pydicom itself have no errno.
        if isinstance(error, OSError) and error.errno is not None:
            remedy = "Check that it exists and may be read."
            raise UnfitFile(path, f"cannot be read ({error.strerror})", remedy) from error
        raise UnfitFile(path, f"broken DICOM file ({type(error).__name__})", COPY) from error
    finally:
        logger.setLevel(level)


@contextmanager
def open_dicom(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file for pydicom, which trusts any length the file claims and may raise any exception.

    Raises:
        UnfitFile: the file is broken or cannot be read.
    """
    with pydicom_errors_as_unfit(path), _ClippedReader(io.FileIO(path)) as file:
        yield file


def read_header(path: Path) -> ImageHeader:
    """Read a file up to its pixel data, skipping tags that are not needed, such as the patient's.

    Raises:
        UnfitFile: the file is not DICOM, or ends before its SeriesInstanceUID.
    """
    with pydicom_errors_as_unfit(path):
        from pydicom import pixels, uid  # noqa: F401 - version 2 has no pixels
        from pydicom.filereader import read_dataset
        from pydicom.tag import Tag

        with _ClippedReader(io.FileIO(path)) as file:
            implied_syntax = _find_start(path, file)
            meta = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
            syntax = "".join(_values(meta, "TransferSyntaxUID", _text, "")) or implied_syntax
            if syntax == uid.DeflatedExplicitVRLittleEndian:  # else pydicom would inflate it to any size
                raise undecodable_error(path, syntax)
            dataset = read_dataset(
                file,
                is_implicit_VR=syntax == uid.ImplicitVRLittleEndian,
                is_little_endian=syntax != uid.ExplicitVRBigEndian,
                stop_when=lambda tag, vr, length: tag >= 0x7FE00008,
                defer_size=1024,  # no tag read here is longer, whatever the header claims
                specific_tags=[Tag(keyword) for keyword in (*NUMBERS, *TEXTS)],
            )
            numbers = {keyword: _values(dataset, keyword, float, float("nan")) for keyword in NUMBERS}
            numbers |= {keyword: numbers[keyword] or values for keyword, values in DEFAULTS.items()}
            texts = {keyword: _values(dataset, keyword, _text, "") for keyword in TEXTS}
            if not any(texts["SeriesInstanceUID"]):
                raise UnfitFile(path, "SeriesInstanceUID is missing or broken; the file may be truncated", COPY)
            return ImageHeader(path, file.num_bytes, syntax, numbers, texts, *_find_pixels(file, dataset))


def _find_start(path: Path, file: io.BufferedReader) -> str:
    """Seek to the first element; return the transfer syntax of a file without ``DICM`` mark, else ``""``."""
    start = file.read(NUM_START_BYTES)
    if start[:2] == b"\x1f\x8b":
        raise UnfitFile(path, "a compressed DICOM file", "Decompress the files of the series with gunzip.")
    if is_marked(start):
        file.seek(len(PREAMBLE_AND_MARK))
        return ""
    if not begins_data_set(start):
        raise UnfitFile(path, "no DICM mark at byte 128: truncated, or not a DICOM file", COPY)
    file.seek(0)
    return "1.2.840.10008.1.2.1" if is_explicit(start) else "1.2.840.10008.1.2"


def _values(dataset: Any, keyword: str, kind: Callable[[Any], Any], broken: Any) -> tuple[Any, ...]:
    """Return the values of one tag; pydicom converts them on access and may then raise any exception."""
    from pydicom.dataelem import RawDataElement

    try:
        raw = dataset.get_item(keyword, keep_deferred=True)
        if raw is None:
            return ()
        if isinstance(raw, RawDataElement) and len(raw.value or b"") != raw.length:
            return (broken,)  # the file ends within the value, or the value is absurdly long
        element = dataset[keyword]
        return tuple(kind(value) for value in ([element.value] if element.VM == 1 else element.value or ()))
    except Exception:
        return (broken,)


def _text(value: Any) -> str:
    text = str(value)
    if not text.isprintable():  # a wrong length makes a value run into its neighbors, which may name the patient
        raise ValueError("control characters")
    return text


def _find_pixels(file: io.BufferedReader, dataset: Any) -> tuple[int, int, str]:
    """Return offset, claimed length and value representation of the pixel data at the current file position."""
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
    if length == 0xFFFFFFFF:  # fragments of a compressed image; raises if their end is missing
        read_undefined_length_value(file, little, SequenceDelimiterTag, defer_size=0)
        length = file.tell() - offset
    return offset, length, "OW" if implicit else head[4:6].decode("ascii", "replace")


def undecodable_error(path: Path, syntax: str) -> UnfitFile:
    """Return the error for pixels in a transfer syntax that cannot be decoded."""
    from pydicom.uid import UID

    return UnfitFile(
        path,
        f"pixels in the transfer syntax {UID(syntax).name or 'of no name'} cannot be decoded",
        "Decompress the series, e.g. with gdcmconv --raw, or convert it to NIfTI with dcm2niix.",
    )


def stored_values(header: ImageHeader) -> np.ndarray:
    """Return the stored pixel values of a checked image, (Rows, Columns).

    Raises:
        UnfitFile: the pixels cannot be decoded.
    """
    with pydicom_errors_as_unfit(header.path):
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
    """Keep only the stored bits: the bits above may hold an overlay, which some decoders do not remove."""
    size = decoded.dtype.itemsize
    unused = max(8 * size - bits_stored, 0)
    # Shift left as unsigned; shift back as signed, if the values are, to restore the sign.
    shifted = decoded.astype(f"{'i' if is_signed else 'u'}{size}").view(f"u{size}") << unused
    return (shifted.view(f"i{size}") if is_signed else shifted) >> unused
