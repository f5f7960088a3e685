"""Synthetic DICOM series, by the letter of the standard, with a way to spoil them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.valuerep import DS

MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = f"{MR_IMAGE_STORAGE}.1"
SERIES_UID = "1.2.826.0.1.3680043.10.1.1"
PATIENT = ("Mustermann^Erika", "PATIENT-4711")


def write_series(
    folder: Path,
    array: np.ndarray,
    affine: np.ndarray,
    *,
    reverse: bool = False,
    shuffle: bool = False,
    uid: str = SERIES_UID,
    syntax: str = ExplicitVRLittleEndian,
    name: Callable[[int], str] = "IM{:04d}.dcm".format,
    change: Callable[[Dataset, int], object] | None = None,
) -> list[Path]:
    """Write one single-frame MR image a slice.

    Args:
        folder: made if it is not there.
        array: (column, row, slice), stored values: int8, uint8, int16 or uint16.
        affine: (4, 4), voxel indices to RAS+ mm; columns at right angles.
        reverse: count InstanceNumber, and with it the names, from the last slice to the first.
        shuffle: names in an order unlike that of the slices.
        uid: SeriesInstanceUID.
        syntax: transfer syntax, uncompressed.
        name: InstanceNumber to file name.
        change: called with each dataset and its slice's index before it is written.

    Returns:
        The files in the order of the slices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = array.shape[2]
    numbers = list(range(count, 0, -1) if reverse else range(1, count + 1))
    name_numbers = list(np.random.default_rng(0).permutation(numbers)) if shuffle else numbers
    paths = []
    for index in range(count):
        dataset = image_dataset(array[:, :, index], affine, index, uid=uid, syntax=syntax)
        dataset.InstanceNumber = numbers[index]
        if change:
            change(dataset, index)
        paths.append(folder / name(int(name_numbers[index])))
        dcmwrite(paths[-1], dataset, enforce_file_format=True)
    return paths


def image_dataset(image: np.ndarray, affine: np.ndarray, index: int, *, uid: str, syntax: str) -> Dataset:
    """One slice, (column, row), at ``affine @ (0, 0, index, 1)``."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    cosines = lps[:3, :2] / spacing[:2]
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    meta.MediaStorageSOPClassUID = MR_IMAGE_STORAGE
    meta.MediaStorageSOPInstanceUID = f"{uid}.{index + 1}"
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.826.0.1.3680043.10.1", uid
    dataset.FrameOfReferenceUID = "1.2.826.0.1.3680043.10.2"
    dataset.PatientName, dataset.PatientID = PATIENT
    dataset.Modality, dataset.Manufacturer, dataset.SeriesDescription = "MR", "Synthetic", "t1 phantom"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    dataset.SeriesNumber, dataset.AcquisitionNumber = 3, 1
    dataset.ScanningSequence, dataset.MRAcquisitionType = "SE", "2D"
    dataset.EchoTime, dataset.RepetitionTime = "12", "500"
    dataset.SliceThickness = DS(float(spacing[2]), auto_format=True)
    dataset.ImagePositionPatient = _decimals(lps[:3, 3] + index * lps[:3, 2])
    dataset.ImageOrientationPatient = _decimals(cosines.T.ravel())
    dataset.PixelSpacing = _decimals(spacing[1::-1])  # between rows, then between columns
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Columns, dataset.Rows = image.shape
    bits = 8 * image.dtype.itemsize
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
    dataset.PixelRepresentation = int(image.dtype.kind == "i")
    content = image.T.astype(image.dtype.newbyteorder(">" if syntax == ExplicitVRBigEndian else "<")).tobytes()
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    dataset["PixelData"].VR = "OW" if bits > 8 or syntax == ImplicitVRLittleEndian else "OB"
    return dataset


def _decimals(values: np.ndarray) -> list[DS]:
    """Decimal strings of up to 16 characters."""
    return [DS(float(value), auto_format=True) for value in values]


def write_enhanced(
    path: Path,
    array: np.ndarray,
    affine: np.ndarray,
    *,
    echo_times_ms: tuple[float, ...] = (12.0,),
    change: Callable[[Dataset], object] | None = None,
) -> Path:
    """Write one enhanced multi-frame MR image, whose k-th echo is brighter by k.

    Args:
        path: the file; folders are made.
        array: (column, row, slice), stored values.
        affine: (4, 4), voxel indices to RAS+ mm; columns at right angles.
        echo_times_ms: a stack of slices for each.
        change: called with the dataset before it is written.
    """
    dataset = image_dataset(array[:, :, 0], affine, 0, uid=SERIES_UID, syntax=ExplicitVRLittleEndian)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = ENHANCED_MR
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    shared = _group(
        PixelMeasuresSequence=dict(PixelSpacing=dataset.PixelSpacing, SliceThickness=dataset.SliceThickness),
        PlaneOrientationSequence=dict(ImageOrientationPatient=dataset.ImageOrientationPatient),
    )
    dataset.SharedFunctionalGroupsSequence = [shared]
    for keyword in ("PixelSpacing", "SliceThickness", "ImageOrientationPatient", "ImagePositionPatient", "EchoTime"):
        del dataset[keyword]
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    places = [(echo, index) for echo in range(len(echo_times_ms)) for index in range(array.shape[2])]
    dataset.PerFrameFunctionalGroupsSequence = [
        _group(
            FrameContentSequence=dict(
                StackID="1", InStackPositionNumber=index + 1, DimensionIndexValues=[1, index + 1, echo + 1]
            ),
            PlanePositionSequence=dict(ImagePositionPatient=_decimals(lps[:3, 3] + index * lps[:3, 2])),
            MREchoSequence=dict(EffectiveEchoTime=echo_times_ms[echo]),
        )
        for echo, index in places
    ]
    dataset.NumberOfFrames = len(places)
    dataset.PixelData = b"".join((array[:, :, index] + echo).T.astype(array.dtype).tobytes() for echo, index in places)
    if change:
        change(dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    dcmwrite(path, dataset, enforce_file_format=True)
    return path


def _group(**sequences: dict[str, object]) -> Dataset:
    """A functional group of sequences of one item each."""
    group = Dataset()
    for keyword, values in sequences.items():
        item = Dataset()
        for name, value in values.items():
            setattr(item, name, value)
        setattr(group, keyword, [item])
    return group
