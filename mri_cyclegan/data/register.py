"""Rigid registration of two scans of the same head, with SimpleITK (extra ``register``)."""

import importlib.util
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from mri_cyclegan.data.grids import Grid, resampled
from mri_cyclegan.data.intensities import ScaledVolume

if TYPE_CHECKING:
    import SimpleITK

# Voxel size of the fixed scan at the finest registration level.
WORKING_MM = 2.0
SHRINK_FACTORS = (4, 2, 1)

NUM_BINS = 32
NUM_SAMPLES = 60_000
MAX_STEPS = 200

# Seed of the metric's sample points; 0 would mean the time of day.
SEED = 1

# Converts between RAS and SimpleITK's LPS coordinates.
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Registration:
    """Rigid transform that aligns a moving scan with a fixed scan.

    Attributes:
        matrix: rows of the (4, 4) transform from RAS+ millimeters of the moving scan to those of the fixed scan.
        center_mm: center of the head in the fixed scan, RAS+.
        shift_mm: distance by which the transform moves that point.
        rotation_degrees: rotation angle of the transform.
        mutual_information: Mattes mutual information of the two scans after alignment, in nats.
        mutual_information_before: the same before alignment.
    """

    matrix: tuple[tuple[float, ...], ...]
    center_mm: tuple[float, ...]
    shift_mm: float
    rotation_degrees: float
    mutual_information: float
    mutual_information_before: float

    def move(self, volume: ScaledVolume) -> ScaledVolume:
        """Apply the transform to a scan's affine; no voxel is interpolated."""
        return replace(volume, affine=np.array(self.matrix) @ volume.affine)

    def as_json(self) -> dict[str, Any]:
        """All attributes as plain JSON values."""
        return asdict(self)


def require_simpleitk(key: str) -> None:
    """Raise unless SimpleITK is installed.

    Args:
        key: configuration key or option that requires it, named in the message.

    Raises:
        ValueError: SimpleITK is not installed.
    """
    if importlib.util.find_spec("SimpleITK") is None:
        raise ValueError(
            f"{key}: registration needs SimpleITK, which is not installed. Install the extra: "
            "pip install 'mri-cyclegan[register]'. Or take space, which trusts the scanner's positions."
        )


def register(fixed: ScaledVolume, moving: ScaledVolume) -> Registration:
    """Find the rigid transform that aligns a scan with another one of the same head, in any contrast.

    Maximizes Mattes mutual information from coarse to fine. The start is the header positions or the alignment of the
    head centers, whichever fits better. One thread and a fixed seed make the result deterministic.

    Args:
        fixed: scan that stays in place.
        moving: scan to move.

    Raises:
        ValueError: the scans do not overlap, or the search moves them apart.
    """
    center = _center_mm(fixed)
    images = _image(*_isotropic(fixed)), _image(moving.array, moving.affine)
    apart = RAS_TO_LPS[:3, :3] @ (_center_mm(moving) - center)
    starts = [_euler(center, shift) for shift in (np.zeros(3), apart)]
    try:
        values = [_metric_value(*images, start) for start in starts]
        found = _optimize(*images, min(zip(values, range(2), starts, strict=True))[-1])
        metric = _metric_value(*images, found)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"registration found no place where both show the head ({reason})") from error
    if metric >= values[0]:  # no better than the header positions
        found, metric = starts[0], values[0]
    # SimpleITK maps points of the fixed image into the moving one.
    to_moving = np.eye(4)
    to_moving[:3, :3] = np.array(found.GetMatrix()).reshape(3, 3)
    to_moving[:3, 3] = np.array(found.TransformPoint((0.0, 0.0, 0.0)))
    matrix = RAS_TO_LPS @ np.linalg.inv(to_moving) @ RAS_TO_LPS
    moved = matrix[:3, :3] @ center + matrix[:3, 3] - center
    cosine = (np.trace(matrix[:3, :3]) - 1) / 2
    return Registration(
        matrix=tuple(tuple(float(value) for value in row) for row in matrix),
        center_mm=tuple(float(value) for value in center),
        shift_mm=float(np.linalg.norm(moved)),
        rotation_degrees=float(np.degrees(np.arccos(np.clip(cosine, -1, 1)))),
        mutual_information=-metric,
        mutual_information_before=-values[0],
    )


def _center_mm(volume: ScaledVolume) -> np.ndarray:
    return volume.affine[:3, :3] @ ndimage.center_of_mass(volume.foreground) + volume.affine[:3, 3]


def _isotropic(volume: ScaledVolume) -> tuple[np.ndarray, np.ndarray]:
    """Resample to isotropic voxels, so that the pyramid levels are as coarse within slices as across them."""
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    shape = np.maximum(1, np.ceil(spacing * volume.array.shape / WORKING_MM)).astype(int)
    affine = volume.affine @ np.diag([*(WORKING_MM / spacing), 1.0])
    affine[:3, 3] += volume.affine[:3, :3] @ ((np.array(volume.array.shape) - 1) / 2)
    affine[:3, 3] -= affine[:3, :3] @ ((shape - 1) / 2)
    return resampled(volume.array, volume.affine, Grid(tuple(map(int, shape)), affine), order=1), affine


def _image(array: np.ndarray, affine: np.ndarray) -> "SimpleITK.Image":
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array.T, dtype=np.float32))
    lps = RAS_TO_LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


def _euler(center: np.ndarray, shift: np.ndarray) -> "SimpleITK.Euler3DTransform":
    import SimpleITK

    return SimpleITK.Euler3DTransform((RAS_TO_LPS[:3, :3] @ center).tolist(), 0.0, 0.0, 0.0, shift.tolist())


def _method(fixed: "SimpleITK.Image") -> "SimpleITK.ImageRegistrationMethod":
    import SimpleITK

    method = SimpleITK.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetNumberOfWorkUnits(1)
    method.SetMetricAsMattesMutualInformation(NUM_BINS)
    method.SetMetricSamplingStrategy(method.REGULAR)
    shares = [min(1.0, NUM_SAMPLES * factor**3 / fixed.GetNumberOfPixels()) for factor in SHRINK_FACTORS]
    method.SetMetricSamplingPercentagePerLevel(shares, SEED)
    method.SetInterpolator(SimpleITK.sitkLinear)
    return method


def _metric_value(fixed: "SimpleITK.Image", moving: "SimpleITK.Image", start: "SimpleITK.Transform") -> float:
    """Registration metric of a transform; lower is better."""
    method = _method(fixed)
    method.SetMetricSamplingPercentage(min(1.0, NUM_SAMPLES / fixed.GetNumberOfPixels()), SEED)
    method.SetInitialTransform(start)
    return float(method.MetricEvaluate(fixed, moving))


def _optimize(
    fixed: "SimpleITK.Image", moving: "SimpleITK.Image", start: "SimpleITK.Euler3DTransform"
) -> "SimpleITK.Euler3DTransform":
    import SimpleITK

    method = _method(fixed)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0,
        minStep=1e-3,
        numberOfIterations=MAX_STEPS,
        relaxationFactor=0.6,
        gradientMagnitudeTolerance=1e-6,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(SHRINK_FACTORS)
    method.SetSmoothingSigmasPerLevel([0.5 * factor * fixed.GetSpacing()[0] for factor in SHRINK_FACTORS[:-1]] + [0.0])
    method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(True)
    found = SimpleITK.Euler3DTransform(start)
    method.SetInitialTransform(found, inPlace=True)
    method.Execute(fixed, moving)
    return found
