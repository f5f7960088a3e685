"""Gray PNG and JPEG pictures of one slice."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mri_cyclegan.data.findings import Finding, UnfitFile
from mri_cyclegan.data.formats.png_integrity import check_png_integrity
from mri_cyclegan.data.volume import ReadOptions, Volume

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")

# A picture is taken for one axial slice seen from below, anterior at the top, with 1 mm square pixels, as their size is
# unknown: axis 0 runs to Superior, rows run to Posterior, columns to Left.
PICTURE_AFFINE = np.array([[0, 0, -1, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=np.float64)

# Larger pictures are not slices of a scan; even a small file can claim any size.
MAX_PIXELS = 2**26


def read_picture(path: Path, options: ReadOptions) -> Volume:
    """Read an 8- or 16-bit picture as a volume of one upright slice, (1, H, W).

    Raises:
        UnfitFile: the picture is broken, too large, or not gray.
    """
    warnings: tuple[Finding, ...] = ()
    with _open(path) as picture:
        if picture.format == "PNG":
            check_png_integrity(path)
        else:
            warnings = (Finding("warning", path, "JPEG is lossy", "Export the slices as PNG."),)
        # Pillow returns only the high bytes of 16-bit pictures that are not plain gray.
        tiles = getattr(picture, "tile", [])
        if picture.mode != "I;16" and any(str(tile.args).endswith(";16B") for tile in tiles):
            problem = "16-bit picture with colors or transparency"
            raise UnfitFile(path, problem, "Export the scan as plain 16-bit gray.")
        mode = picture.mode
        try:
            picture.load()
            array = np.asarray(picture.convert("RGBA") if mode in ("P", "PA") else picture)
        except Exception as error:  # Pillow may raise any exception for a broken file
            raise UnfitFile(path, f"truncated or broken picture ({error})", "Export it again.") from error
    return Volume(np.ascontiguousarray(_gray(path, array, mode)[None], dtype=np.float32), PICTURE_AFFINE, warnings)


def picture_shape(path: Path, options: ReadOptions) -> tuple[tuple[int, int, int], np.ndarray]:
    """Return shape, (1, H, W), and affine from the header alone.

    Raises:
        UnfitFile: the file is not a picture, or too large.
    """
    with _open(path) as picture:
        return (1, picture.height, picture.width), PICTURE_AFFINE


def write_picture(path: Path, array: np.ndarray, description: str) -> None:
    """Write a 16-bit gray PNG.

    Args:
        path: replaced if it exists.
        array: (1, H, W), in [0, 1], with the axes of :func:`read_picture`.
        description: text stored in the file.
    """
    text = PngInfo()
    text.add_text("Description", description)
    picture = Image.fromarray(np.rint(array[0] * np.iinfo(np.uint16).max).astype(np.uint16))
    picture.save(path, format="PNG", pnginfo=text)


def _open(path: Path) -> Image.Image:
    if path.is_file() and path.stat().st_size == 0:
        raise UnfitFile(path, "the file is empty", "Export it again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about sizes that are rejected below
            picture = Image.open(path, formats=("PNG", "JPEG"))
    except Image.DecompressionBombError as error:
        raise UnfitFile(path, f"claims too many pixels ({error})", "Crop or resample it.") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # from the system; Pillow's own have no errno
        raise UnfitFile(path, "neither PNG nor JPEG", "Export it again as PNG.") from error
    if picture.width * picture.height > MAX_PIXELS:
        picture.close()
        problem = f"claims {picture.width} × {picture.height} pixels; at most {MAX_PIXELS:,} are read"
        raise UnfitFile(path, problem, "Crop or resample it.")
    return picture


def _gray(path: Path, array: np.ndarray, mode: str) -> np.ndarray:
    if mode == "1":
        raise UnfitFile(path, "black-and-white picture; expected gray", "Export the scan as 8- or 16-bit gray.")
    if mode == "CMYK":
        raise UnfitFile(path, "color picture (CMYK); expected gray", "Export the scan as 8- or 16-bit gray.")
    if array.ndim == 2:
        return array
    colors = array[..., : 1 if mode == "LA" else 3]
    if (colors != colors[..., :1]).any():
        raise UnfitFile(path, f"color picture ({mode}); expected gray", "Export the scan as 8- or 16-bit gray.")
    return colors[..., 0]
