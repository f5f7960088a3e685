"""The LightningDataModule: finds, checks, splits, prepares and loads scans."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from monai.data import DataLoader
from torch import Tensor

from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.datasets import EpochSampler, PairedSlices, UnpairedSlices
from mri_cyclegan.data.findings import EmptyScan, Finding, UnfitData, UnfitFile
from mri_cyclegan.data.integrity import find_duplicates
from mri_cyclegan.data.layouts import Found, Scan, find_pairs, find_scans, require_both_contrasts
from mri_cyclegan.data.parallel import available_processes
from mri_cyclegan.data.phantom import Phantom
from mri_cyclegan.data.slice_cache import SliceCache
from mri_cyclegan.data.splits.settings import SplitSettings
from mri_cyclegan.data.splits.split import Split, divide
from mri_cyclegan.data.transforms import Augmentation, Preprocessing
from mri_cyclegan.data.volume import ReadOptions

log = logging.getLogger(__name__)

# Findings shown on the screen; the run folder has all of them.
MAX_LOGGED = 10


@dataclass(frozen=True)
class SampleCase:
    """One fixed slice of each contrast to look at during training.

    Attributes:
        a: (1, H, W), in [-1, 1].
        b: (1, H, W), in [-1, 1]; the truth for ``a`` if ``paired``.
        paired: whether both show the same slice of the same head.
        label: subjects and slice numbers.
    """

    a: Tensor
    b: Tensor
    paired: bool
    label: str


class MRIDataModule(pl.LightningDataModule):
    """Unpaired slices for training, paired slices for validation and test.

    Args:
        layout: see :func:`mri_cyclegan.data.layouts.find_scans`; likewise ``root``, ``contrasts``,
            ``subject_pattern`` and ``names_identify_subjects``.
        volume_index: see :class:`mri_cyclegan.data.volume.ReadOptions`; likewise ``nonfinite``,
            ``assume_orientation`` and ``series_uids``.
        on_unfit: ``"raise"`` refuses a data set with unfit files, ``"skip"`` leaves these files out.
        split_file: see :class:`mri_cyclegan.data.splits.settings.SplitSettings`; likewise ``split_column``,
            ``num_folds``, ``fold``, ``val_share``, ``test_share``, ``stratify_by``, ``split_seed`` and
            ``allow_paired_subjects``.
        plane: see :class:`mri_cyclegan.data.transforms.Preprocessing`; likewise ``spacing_mm`` and ``image_size``.
        min_foreground: see :class:`mri_cyclegan.data.datasets.UnpairedSlices`.
        augmentation: changes of training slices, or None.
        batch_size: slices of each contrast in a training batch.
        val_batch_size: slices in a validation batch.
        num_workers: loader processes; 0 loads in the main process.
        num_processes: that prepare slices; None for one a core, at most eight.
        cache_root: folder of the prepared slices.
        seed: of sample order, draws of b and augmentation.
        phantom: makes the data set below ``root`` first; None for scans that exist.
    """

    def __init__(
        self,
        layout: str,
        root: str,
        contrasts: Sequence[str],
        subject_pattern: str | None,
        names_identify_subjects: bool,
        volume_index: int | None,
        nonfinite: str,
        assume_orientation: str | None,
        series_uids: Sequence[str],
        on_unfit: str,
        split_file: str | None,
        split_column: str | None,
        num_folds: int | None,
        fold: int,
        val_share: float,
        test_share: float,
        stratify_by: str | None,
        split_seed: int,
        allow_paired_subjects: bool,
        plane: str,
        spacing_mm: float | None,
        image_size: int,
        min_foreground: float,
        augmentation: Augmentation | None,
        batch_size: int,
        val_batch_size: int,
        num_workers: int,
        num_processes: int | None,
        cache_root: str,
        seed: int,
        phantom: Phantom | None,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.root = Path(root).expanduser()
        self.contrasts = (str(contrasts[0]), str(contrasts[1])) if len(contrasts) == 2 else tuple(contrasts)
        self.subject_pattern = subject_pattern
        self.names_identify_subjects = names_identify_subjects
        self.split_settings = SplitSettings(
            split_file=split_file,
            split_column=split_column,
            num_folds=num_folds,
            fold=fold,
            val_share=val_share,
            test_share=test_share,
            stratify_by=stratify_by,
            split_seed=split_seed,
            allow_paired_subjects=allow_paired_subjects,
        )
        self.preprocessing = Preprocessing(plane, spacing_mm, image_size)
        options = ReadOptions(volume_index, nonfinite, assume_orientation, tuple(map(str, series_uids)))
        self.cache = SliceCache(Path(cache_root).expanduser(), self.preprocessing, options)
        if on_unfit not in ("raise", "skip"):
            raise ValueError(f"data.on_unfit: expected raise or skip, got {on_unfit!r}.")
        self.on_unfit = on_unfit
        self.num_processes = num_processes
        self.findings: list[Finding] = []
        self.min_foreground = min_foreground
        self.augmentation = augmentation
        self.batch_size = batch_size
        self.val_batch_size = val_batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.phantom = phantom
        self.split: Split | None = None

    @property
    def scans_root(self) -> Path:
        """Folder of the data set: ``root``, or the phantom's below it."""
        return self.root if self.phantom is None else self.phantom.folder(self.root)

    def prepare_data(self) -> None:
        """Make the phantom if asked for, and prepare every scan.

        Raises:
            UnfitData: files are unfit, all of them in one message, and ``on_unfit`` is ``"raise"``.
        """
        if self.phantom is not None:
            self.phantom.write(self.root)
        found = self._find_scans()
        require_both_contrasts(self.layout, self.scans_root, self.contrasts, *found)
        self.findings = [
            *found.findings,
            *self.cache.prepare(found.scans, available_processes(self.num_processes)),
            *self._duplicates([volume for scan in found.scans if (volume := self.cache.find(scan))]),
        ]
        errors = [finding for finding in self.findings if finding.severity == "error"]
        if errors and self.on_unfit == "raise":
            advice = "Repair or remove them, or set data.on_unfit=skip to train without them."
            raise UnfitData(self.findings, len(found.scans), advice)
        for finding in sorted(self.findings)[:MAX_LOGGED]:
            log.warning("%s", finding)
        if len(self.findings) > MAX_LOGGED:
            log.warning("… and %d more findings about the scans.", len(self.findings) - MAX_LOGGED)

    def setup(self, stage: str | None = None) -> None:
        """Split the subjects of fit scans and open their slices."""
        if self.split is not None:
            return
        scans = self._fit_scans()
        require_both_contrasts(self.layout, self.scans_root, self.contrasts, scans)
        self.split = self._divide(scans)
        self.train_slices = UnpairedSlices(
            [self.cache.get(scan) for scan in self.split.train_a],
            [self.cache.get(scan) for scan in self.split.train_b],
            self.min_foreground,
            self.augmentation,
            self.seed,
        )
        self.val_pairs = self._pairs(self.split.val)
        self.test_pairs = self._pairs(self.split.test)
        self._warn_about_cropping()

    def _find_scans(self) -> Found:
        return find_scans(
            self.layout, self.scans_root, self.contrasts, self.subject_pattern, self.names_identify_subjects
        )

    def _fit_scans(self) -> list[Scan]:
        """Scans to use, in every process the same: not unfit, not empty, not a copy of another."""
        dropped = EmptyScan if self.on_unfit == "raise" else UnfitFile
        volumes = []
        for scan in self._find_scans().scans:
            with suppress(dropped):
                volumes.append(self.cache.get(scan))
        copies = {finding.path for finding in self._duplicates(volumes)}
        return [volume.scan for volume in volumes if volume.scan.path not in copies]

    def _duplicates(self, volumes: Sequence[CachedVolume]) -> list[Finding]:
        return find_duplicates({volume.scan: volume.record["voxel_hash"] for volume in volumes})

    def _divide(self, scans: list[Scan]) -> Split:
        return divide(scans, self.contrasts, self.split_settings, self.scans_root / "participants.tsv")

    def _pairs(self, scans: list[Scan]) -> list[tuple[CachedVolume, CachedVolume]]:
        """Pairs on one grid; those on different grids cannot be compared voxel by voxel and are left out."""
        pairs = [(self.cache.get(a), self.cache.get(b)) for a, b in find_pairs(scans, self.contrasts)]
        aligned = [pair for pair in pairs if _same_grid(*pair)]
        if len(aligned) < len(pairs):
            names = ", ".join(sorted({a.scan.subject for a, b in pairs if not _same_grid(a, b)})[:5])
            log.warning("Both contrasts, but on different grids, so left out of the metrics: %s. Register them.", names)
        return aligned

    def _warn_about_cropping(self) -> None:
        volumes = self.train_slices.volumes_a + self.train_slices.volumes_b
        lost = [volume.record["foreground_lost"] for volume in volumes]
        if max(lost) > 0.01:
            worst = volumes[int(np.argmax(lost))].scan.path.name
            log.warning(
                "data.image_size=%d crops up to %.0f %% of the head away (%s). "
                "Raise data.image_size or data.spacing_mm, or set data.spacing_mm=null to fit the field of view.",
                self.preprocessing.image_size,
                100 * max(lost),
                worst,
            )

    def describe(self) -> str:
        """One line: how many subjects and slices each part has, and whether training is not unpaired."""
        assert self.split is not None
        name_a, name_b = self.contrasts
        slices = self.train_slices
        return (
            f"Training on {len(slices.slices_a)} {name_a} slices of {_num_subjects(self.split.train_a)} subjects and "
            f"{len(slices.slices_b)} {name_b} slices of {_num_subjects(self.split.train_b)}; pairs for validation: "
            f"{len(self.val_pairs)}, for test: {len(self.test_pairs)}. {self.split.pairing}".rstrip()
        )

    def train_dataloader(self) -> DataLoader:
        """Batches of ``a`` and ``b``, each (B, 1, H, W)."""
        return DataLoader(
            self.train_slices,
            batch_size=self.batch_size,
            sampler=EpochSampler(len(self.train_slices), self.seed),
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(self.seed),
        )

    def val_dataloader(self) -> DataLoader | list:
        """Batches as :class:`PairedSlices` gives them; an empty list without pairs."""
        return self._paired_loader(self.val_pairs)

    def test_dataloader(self) -> DataLoader | list:
        """As :meth:`val_dataloader`, of the test subjects."""
        return self._paired_loader(self.test_pairs)

    def _paired_loader(self, pairs: list[tuple[CachedVolume, CachedVolume]]) -> DataLoader | list:
        if not pairs:
            return []
        return DataLoader(
            PairedSlices(pairs),
            batch_size=self.val_batch_size,
            num_workers=0,
            generator=torch.Generator().manual_seed(self.seed),
        )

    def sample_cases(self, num_cases: int) -> list[SampleCase]:
        """Slices to watch: of validation pairs if there are any, else of unpaired validation or training scans."""
        assert self.split is not None
        if self.val_pairs:
            return [
                _middle_case(*self.val_pairs[number % len(self.val_pairs)], number, num_cases, paired=True)
                for number in range(num_cases)
            ]
        val_a, val_b = ([self.cache.get(s) for s in self.split.val if s.contrast == name] for name in self.contrasts)
        if not (val_a and val_b):
            val_a, val_b = self.train_slices.volumes_a, self.train_slices.volumes_b
        return [
            _middle_case(val_a[number % len(val_a)], val_b[number % len(val_b)], number, num_cases, paired=False)
            for number in range(num_cases)
        ]


def _num_subjects(scans: Sequence[Scan]) -> int:
    return len({scan.subject for scan in scans})


def _same_grid(volume_a: CachedVolume, volume_b: CachedVolume) -> bool:
    record_a, record_b = volume_a.record, volume_b.record
    return record_a["source_shape"] == record_b["source_shape"] and np.allclose(
        record_a["source_affine"], record_b["source_affine"], atol=1e-3
    )


def _middle_case(volume_a: CachedVolume, volume_b: CachedVolume, number: int, count: int, paired: bool) -> SampleCase:
    """A slice of the middle half of each head, higher for higher case numbers."""
    height = 0.35 + 0.3 * (number + 0.5) / count
    index_a = _slice_at(volume_a, height)
    index_b = index_a if paired else _slice_at(volume_b, height)
    names = [f"{volume.scan.subject} {index}" for volume, index in ((volume_a, index_a), (volume_b, index_b))]
    image_a, image_b = (
        torch.from_numpy(np.array(volume.slices[index]))[None]
        for volume, index in ((volume_a, index_a), (volume_b, index_b))
    )
    return SampleCase(image_a, image_b, paired, names[0] if paired else " / ".join(names))


def _slice_at(volume: CachedVolume, height: float) -> int:
    """Index of the slice at a relative height of the head, in [0, 1]."""
    shown = np.flatnonzero(np.array(volume.record["foreground_share"]) > 0.02)
    return int(shown[int(height * (len(shown) - 1))]) if len(shown) else 0
