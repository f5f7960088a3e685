"""Built-in data set: an anatomical digital phantom with known pairs, tissues and lesions.

Each subject starts from the ICBM152 tissue probability maps. A smooth random deformation and smooth random changes of
the sharpened class probabilities give it an individual anatomy; the spin-echo signal equation gives T1w and T2w images;
a bias field and Rician noise make them look acquired. The result is written as a BIDS data set of NIfTI files, so it
goes through the same pipeline as a user's scans.

Reference:
    Fonov et al., "Unbiased average age-appropriate atlases for pediatric studies", NeuroImage 2011 (the maps).
    Brown et al., "Magnetic resonance imaging: physical principles and sequence design", 2014, eq. 8.43 (the signal).
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from monai.transforms import RandBiasField, RandRicianNoise
from rich.progress import track
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from mri_cyclegan.data.formats.nifti import write_volume
from mri_cyclegan.data.phantom_bids import write_phantom_derivatives, write_root_files
from mri_cyclegan.filesystem import atomic_folder, remove_abandoned

# Increase it whenever the same settings would give different files.
VERSION = 4

TISSUES = ("background", "gm", "wm", "csf", "lesion")

# Relaxation times at 3 T in ms and relative proton density. Gray and white matter: Wansapura et al., J Magn Reson
# Imaging 1999. Fluid: Lin et al., J Magn Reson Imaging 2001 (T1), with a T2 shortened by flow and partial volume.
# Lesions: prolonged T1 and T2 of chronic multiple-sclerosis plaques, Stevenson et al., AJNR 2000.
T1_MS = {"gm": 1331.0, "wm": 832.0, "csf": 4163.0, "lesion": 1400.0}
T2_MS = {"gm": 110.0, "wm": 79.6, "csf": 800.0, "lesion": 190.0}
PROTON_DENSITY = {"gm": 0.86, "wm": 0.77, "csf": 1.0, "lesion": 0.88}
SEQUENCES = {"T1w": {"tr_ms": 500.0, "te_ms": 10.0}, "T2w": {"tr_ms": 4500.0, "te_ms": 90.0}}

# Images are stored as integers, as scanners do, with the brightest tissue near this value.
INTENSITY_SCALE = 2000.0


def spin_echo_signal(proton_density: float, t1_ms: float, t2_ms: float, tr_ms: float, te_ms: float) -> float:
    """Relative signal PD · (1 − exp(−TR / T1)) · exp(−TE / T2), in [0, PD].

    >>> round(spin_echo_signal(1.0, t1_ms=1000, t2_ms=100, tr_ms=1000, te_ms=100), 4)
    0.2325
    """
    return float(proton_density * (1 - np.exp(-tr_ms / t1_ms)) * np.exp(-te_ms / t2_ms))


@dataclass(frozen=True)
class PhantomSubject:
    """One synthetic subject.

    Attributes:
        images: contrast (``T1w``, ``T2w``) to (X, Y, Z) uint16.
        tissues: (5, X, Y, Z) float32, share of each voxel taken by each of :data:`TISSUES`.
        lesion_mask: (X, Y, Z) uint8, 1 where lesions fill at least half of the voxel.
    """

    images: dict[str, np.ndarray]
    tissues: np.ndarray
    lesion_mask: np.ndarray


@dataclass(frozen=True)
class Phantom:
    """Settings of the data set; equal settings give equal voxels.

    Attributes:
        num_train: number of training subjects, with alternating single contrasts unless ``paired_training``.
        num_val: number of validation subjects, with both contrasts, lesion mask and tissue labels.
        num_test: number of test subjects, with the same files as validation subjects.
        spacing_mm: isotropic voxel size.
        lesion_share: share of subjects with white-matter lesions, in [0, 1].
        noise: standard deviation of the Rician noise, as a share of the brightest tissue's signal.
        bias_strength: largest coefficient of the bias field's exponent; 0 for a flat field.
        seed: seed of all random draws.
        paired_training: whether training subjects get both contrasts as well.
    """

    num_train: int = 20
    num_val: int = 4
    num_test: int = 6
    spacing_mm: float = 2.0
    lesion_share: float = 0.5
    noise: float = 0.015
    bias_strength: float = 0.12
    seed: int = 0
    paired_training: bool = False

    def __post_init__(self) -> None:
        if self.num_train < 2:
            raise ValueError(f"data.phantom.num_train: expected at least 2, one per contrast; got {self.num_train}.")
        if min(self.num_val, self.num_test) < 0:
            raise ValueError(
                f"data.phantom.num_val, data.phantom.num_test: expected 0 or more, got {self.num_val}, {self.num_test}."
            )
        if min(self.noise, self.bias_strength) < 0:
            raise ValueError(
                "data.phantom.noise, data.phantom.bias_strength: expected 0 or more, "
                f"got {self.noise}, {self.bias_strength}."
            )
        if not 0.5 <= self.spacing_mm <= 8:
            raise ValueError(f"data.phantom.spacing_mm: expected 0.5 to 8 mm, got {self.spacing_mm}.")
        if not 0 <= self.lesion_share <= 1:
            raise ValueError(f"data.phantom.lesion_share: expected a share in [0, 1], got {self.lesion_share}.")

    def folder(self, root: str | Path) -> Path:
        """Folder under ``root`` of the data set with these settings."""
        settings = json.dumps({"version": VERSION, **self._settings()}, sort_keys=True)
        return Path(root) / f"phantom-{hashlib.sha256(settings.encode()).hexdigest()[:12]}"

    def write(self, root: str | Path) -> Path:
        """Write the data set as BIDS under ``root``, atomically, unless it exists already.

        Returns:
            Folder of the data set: ``sub-*/anat/*_{T1w,T2w}.nii.gz``, ``participants.tsv`` with the column ``split``,
            and for validation and test subjects lesion masks under ``derivatives/lesions`` and each voxel's most
            common tissue under ``derivatives/tissues``.
        """
        folder = self.folder(root)
        if folder.is_dir():
            return folder
        remove_abandoned(folder.parent)
        with atomic_folder(folder) as partial:
            self._write_into(partial)
        return folder

    def _write_into(self, folder: Path) -> None:
        rows = ["participant_id\tsplit\tcontrasts\tnum_lesion_voxels"]
        plan = list(self._plan())
        for index, (split, contrasts) in track(list(enumerate(plan)), "Making the phantom", transient=True):
            name = f"sub-{index + 1:03d}"
            subject = self.subject(index)
            anat = folder / name / "anat"
            anat.mkdir(parents=True)
            for contrast in contrasts:
                write_volume(anat / f"{name}_{contrast}.nii.gz", subject.images[contrast], self._affine())
            if split != "train":
                labels = {
                    "lesions": (f"{name}_label-lesion_mask.nii.gz", subject.lesion_mask),
                    "tissues": (f"{name}_dseg.nii.gz", subject.tissues.argmax(axis=0).astype(np.uint8)),
                }
                for derivative, (filename, labeled) in labels.items():
                    labels_folder = folder / "derivatives" / derivative / name / "anat"
                    labels_folder.mkdir(parents=True)
                    write_volume(labels_folder / filename, labeled, self._affine())
            rows.append(f"{name}\t{split}\t{'+'.join(contrasts)}\t{int(subject.lesion_mask.sum())}")
        (folder / "participants.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        write_root_files(folder, self._settings(), VERSION, SEQUENCES)
        if len(plan) > self.num_train:
            write_phantom_derivatives(folder, VERSION, TISSUES)

    def _settings(self) -> dict[str, float]:
        # Left out unless set: the voxels are then the same as before this option existed, so the data sets that users
        # made with earlier versions keep their folder names.
        return {name: value for name, value in asdict(self).items() if value or name != "paired_training"}

    def _plan(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        contrasts = tuple(SEQUENCES)
        for index in range(self.num_train):
            yield "train", contrasts if self.paired_training else (contrasts[index % 2],)
        for split, count in (("val", self.num_val), ("test", self.num_test)):
            yield from [(split, contrasts)] * count

    def subject(self, index: int) -> PhantomSubject:
        """Generate one subject, which depends only on the settings and ``index``."""
        random = np.random.default_rng([self.seed, index])
        tissues = self._anatomy(random)
        tissues = self._with_lesions(tissues, random) if random.random() < self.lesion_share else tissues
        relaxation = {
            tissue: [value[tissue] * random.normal(1, 0.03) for value in (PROTON_DENSITY, T1_MS, T2_MS)]
            for tissue in TISSUES[1:]
        }
        images = {contrast: self._image(tissues, relaxation, contrast, random) for contrast in SEQUENCES}
        mask = (tissues[TISSUES.index("lesion")] >= 0.5).to(torch.uint8)
        return PhantomSubject(images, tissues.numpy(), mask.numpy())

    def _affine(self) -> np.ndarray:
        _, corner_mm = _icbm_tissue_maps()
        affine = np.diag([self.spacing_mm] * 3 + [1.0])
        affine[:3, 3] = corner_mm
        return affine

    def _shape(self) -> tuple[int, int, int]:
        maps, _ = _icbm_tissue_maps()
        x, y, z = (int((size - 1) // self.spacing_mm) + 1 for size in maps.shape[1:])
        return x, y, z

    def _anatomy(self, random: np.random.Generator) -> Tensor:
        maps, _ = _icbm_tissue_maps()
        warped = _sample(maps, self._deformation_mm(random))
        # Noise on the log-probabilities moves tissue borders; the factor 3 makes them as sharp as in one person.
        shape = warped.shape[1:]
        noise = torch.stack([_smooth_noise(shape, 6 / self.spacing_mm, random) for _ in warped])
        noise[0] *= 0.5
        brain = torch.softmax(3.0 * (torch.log(warped.clamp_min(1e-4)) + 0.45 * noise), dim=0)
        # The scanner's point spread mixes neighboring tissues in a voxel.
        brain = torch.stack([torch.from_numpy(ndimage.gaussian_filter(share.numpy(), 0.5)) for share in brain])
        return torch.cat([brain, torch.zeros(1, *shape)])

    def _deformation_mm(self, random: np.random.Generator) -> Tensor:
        """Position of each voxel of the subject in the maps, in mm from their corner: (X, Y, Z, 3)."""
        shape = self._shape()
        axes = [torch.arange(size, dtype=torch.float32) * self.spacing_mm for size in shape]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
        center = grid.mean(dim=(0, 1, 2))
        turn = torch.linalg.matrix_exp(_skew(random.normal(0, 0.04, 3)))
        scale = torch.tensor(random.normal(1, 0.035, 3), dtype=torch.float32)
        shift = torch.tensor(random.normal(0, 1.5, 3), dtype=torch.float32)
        smooth = [
            3.0 * _smooth_noise(shape, 20 / self.spacing_mm, random)
            + 0.9 * _smooth_noise(shape, 8 / self.spacing_mm, random)
            for _ in shape
        ]
        return ((grid - center) * scale) @ turn.T + center + shift + torch.stack(smooth, dim=-1)

    def _with_lesions(self, tissues: Tensor, random: np.random.Generator) -> Tensor:
        white = torch.argwhere(tissues[TISSUES.index("wm")] > 0.9)
        axes = [torch.arange(size, dtype=torch.float32) for size in tissues.shape[1:]]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
        roughness = _smooth_noise(tissues.shape[1:], 3 / self.spacing_mm, random)
        lesion = torch.zeros(tissues.shape[1:])
        for _ in range(int(random.integers(3, 9))):
            center = white[int(random.integers(len(white)))]
            radius_mm = float(random.uniform(2.5, 6.0))
            distance_mm = (grid - center).norm(dim=-1) * self.spacing_mm + roughness
            lesion = torch.maximum(lesion, torch.sigmoid(2 * (radius_mm - distance_mm)))
        lesion = lesion * (1 - tissues[0]) * (1 - tissues[TISSUES.index("csf")])
        return torch.cat([tissues[:-1] * (1 - lesion), lesion[None]])

    def _image(
        self, tissues: Tensor, relaxation: dict[str, list[float]], contrast: str, random: np.random.Generator
    ) -> np.ndarray:
        signals = [spin_echo_signal(*relaxation[tissue], **SEQUENCES[contrast]) for tissue in TISSUES[1:]]
        image = torch.einsum("t,txyz->xyz", torch.tensor(signals, dtype=torch.float32), tissues[1:]) / max(signals)
        bias = RandBiasField(prob=1.0, degree=3, coeff_range=(-self.bias_strength, self.bias_strength))
        noise = RandRicianNoise(prob=1.0, mean=0.0, std=self.noise, sample_std=False)
        for transform in (bias, noise):
            transform.set_random_state(seed=int(random.integers(2**31)))
            image = transform(image[None])[0]
        gain = INTENSITY_SCALE * random.uniform(0.7, 1.3)
        return np.clip(np.rint(np.asarray(image) * gain), 0, 65535).astype(np.uint16)


@lru_cache(maxsize=1)
def _icbm_tissue_maps() -> tuple[Tensor, tuple[float, ...]]:
    """Probabilities of background, gm, wm, csf at 1 mm, (4, X, Y, Z), cropped to the head, and their corner in mm."""
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_gm_template, load_mni152_wm_template

    mask = load_mni152_brain_mask(resolution=1)
    gm, wm = (load(resolution=1).get_fdata() for load in (load_mni152_gm_template, load_mni152_wm_template))
    brain = np.maximum(mask.get_fdata(), np.clip(gm + wm, 0, 1))
    csf = np.clip(brain - gm - wm, 0, 1)
    maps = np.stack([1 - np.clip(gm + wm + csf, 0, 1), gm, wm, csf])
    margin = 14
    inside = np.argwhere(brain > 0.5)
    low = np.maximum(inside.min(axis=0) - margin, 0)
    high = np.minimum(inside.max(axis=0) + margin + 1, brain.shape)
    maps = maps[:, low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    corner_mm = mask.affine[:3, :3] @ low + mask.affine[:3, 3]
    return torch.as_tensor(maps, dtype=torch.float32), tuple(float(mm) for mm in corner_mm)


def _sample(maps: Tensor, position: Tensor) -> Tensor:
    """Interpolate ``maps`` (C, X, Y, Z) linearly at voxel positions (x, y, z, 3); background beyond the edge."""
    sizes = torch.tensor(maps.shape[1:], dtype=torch.float32)
    grid = (2 * position / (sizes - 1) - 1).flip(-1)
    return functional.grid_sample(maps[None], grid[None], padding_mode="border", align_corners=True)[0]


def _smooth_noise(shape: tuple[int, ...] | torch.Size, scale: float, random: np.random.Generator) -> Tensor:
    """Gaussian noise of zero mean and unit variance that varies over about ``scale`` voxels."""
    coarse = [max(2, round(2 * size / scale) + 1) for size in shape]
    noise = torch.as_tensor(random.standard_normal(coarse), dtype=torch.float32)[None, None]
    noise = functional.avg_pool3d(functional.pad(noise, (1,) * 6, mode="replicate"), 3, stride=1)
    noise = functional.interpolate(noise, size=tuple(shape), mode="trilinear", align_corners=True)[0, 0]
    return (noise - noise.mean()) / noise.std()


def _skew(angles: np.ndarray) -> Tensor:
    x, y, z = angles
    return torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float32)
