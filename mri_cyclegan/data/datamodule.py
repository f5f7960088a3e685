"""The LightningDataModule: finds, checks, splits, prepares and loads scans."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from mri_cyclegan.data.augmentation import Augmentation
from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.datasets import PairedSlices, UnpairedSlices, training_loader
from mri_cyclegan.data.device_slices import DeviceSlices, fits
from mri_cyclegan.data.findings import EmptyScan, Finding, UnfitData, UnfitFile
from mri_cyclegan.data.grids import Grid
from mri_cyclegan.data.integrity import find_duplicates, find_mixed_formats
from mri_cyclegan.data.layouts import Found, LayoutSettings, Scan, find_scans, require_both_contrasts
from mri_cyclegan.data.layouts.entities import FilterValue
from mri_cyclegan.data.matching import Matching, seen_alike
from mri_cyclegan.data.missing_pairs import why_no_pairs
from mri_cyclegan.data.pairs import RULES, Pair, find_pairs, left_over
from mri_cyclegan.data.parallel import available_processes
from mri_cyclegan.data.phantom import Phantom
from mri_cyclegan.data.register import require_simpleitk
from mri_cyclegan.data.sample_cases import SampleCase, middle_case
from mri_cyclegan.data.slice_cache import SliceCache
from mri_cyclegan.data.splits.participants import name_some
from mri_cyclegan.data.splits.settings import SplitSettings
from mri_cyclegan.data.splits.split import Split, divide
from mri_cyclegan.data.transforms import Preprocessing
from mri_cyclegan.data.volume import ReadOptions

log = logging.getLogger(__name__)

# Findings shown on the screen; the run folder has all of them.
MAX_LOGGED = 10


class MRIDataModule(pl.LightningDataModule):
    """Unpaired slices for training, paired slices for validation and test.

    Args:
        layout: see :class:`mri_cyclegan.data.layouts.LayoutSettings`; likewise ``contrasts``, ``subject_pattern``,
            ``names_identify_subjects``, ``bids_filters``, ``pattern_a`` and ``pattern_b``.
        root: folder of the data set.
        volume_index: see :class:`mri_cyclegan.data.volume.ReadOptions`; likewise ``nonfinite``,
            ``assume_orientation`` and ``series_uids``.
        on_unfit: ``"raise"`` refuses a data set with unfit files, ``"skip"`` leaves these files out.
        split_file: see :class:`mri_cyclegan.data.splits.settings.SplitSettings`; likewise ``split_column``,
            ``num_folds``, ``fold``, ``val_share``, ``test_share``, ``stratify_by``, ``split_seed`` and
            ``allow_paired_subjects``.
        plane: see :class:`mri_cyclegan.data.transforms.Preprocessing`; likewise ``spacing_mm`` and ``image_size``.
        min_foreground: see :class:`mri_cyclegan.data.datasets.UnpairedSlices`; likewise ``slice_range``.
        match: see :class:`mri_cyclegan.data.matching.Matching`; likewise ``match_tolerance``.
        pairs: how scans of one session on different grids are compared, see :data:`mri_cyclegan.data.pairs.RULES`.
        num_adjacent_slices: neighbouring slices on either side of each slice, k; see :mod:`mri_cyclegan.slice_stack`.
        augmentation: changes of training slices, or None.
        batch_size: slices of each contrast in a training batch.
        val_batch_size: slices in a validation batch.
        num_workers: loader processes; 0 loads in the main process.
        num_processes: that prepare slices; None for one a core, at most eight.
        cache_root: folder of the prepared slices.
        device_cache: whether the device that trains keeps all training slices in its memory, see
            :func:`mri_cyclegan.data.device_slices.fits`.
        seed: of sample order, draws of b and augmentation.
        phantom: makes the data set below ``root`` first; None for scans that exist.
    """

    def __init__(
        self,
        layout: str,
        root: str,
        contrasts: Sequence[str],
        subject_pattern: str | None,
        names_identify_subjects: bool | None,
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
        slice_range: Sequence[float],
        match: str,
        match_tolerance: float,
        pairs: str,
        num_adjacent_slices: int,
        augmentation: Augmentation | None,
        batch_size: int,
        val_batch_size: int,
        num_workers: int,
        num_processes: int | None,
        cache_root: str,
        device_cache: str | bool,
        seed: int,
        phantom: Phantom | None,
        bids_filters: Mapping[str, Mapping[str, FilterValue]] | None = None,
        pattern_a: str | None = None,
        pattern_b: str | None = None,
    ) -> None:
        super().__init__()
        self.root = Path(root).expanduser()
        self.layout_settings = LayoutSettings(
            layout,
            tuple(contrasts),
            subject_pattern,
            names_identify_subjects,
            bids_filters or {},
            pattern_a,
            pattern_b,
        )
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
        if len(slice_range) != 2 or not 0 <= slice_range[0] < slice_range[1] <= 1:
            raise ValueError(f"data.slice_range: expected [low, high] between 0 and 1, got {list(slice_range)}.")
        self.slice_range = (slice_range[0], slice_range[1])
        self.matching = Matching(match, match_tolerance)
        if pairs not in RULES:
            raise ValueError(f"data.pairs: expected one of {', '.join(RULES)}, got {pairs!r}.")
        if pairs == "register":
            require_simpleitk("data.pairs=register")
        self.pairs_rule = pairs
        if num_adjacent_slices < 0:
            raise ValueError(
                f"data.num_adjacent_slices: expected 0 (single slices) or more, got {num_adjacent_slices}."
            )
        self.num_adjacent_slices = num_adjacent_slices
        self.augmentation = augmentation
        self.batch_size = batch_size
        self.val_batch_size = val_batch_size
        self.num_workers = num_workers
        if device_cache not in ("auto", True, False):
            raise ValueError(f"data.device_cache: expected auto, true or false, got {device_cache!r}.")
        self.device_cache = device_cache
        self.device_slices: DeviceSlices | None = None
        self.seed = seed
        self.phantom = phantom
        self.is_prepared = False
        self.split: Split | None = None
        self._decided: tuple[Split, list[Pair]] | None = None

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Names of a and b."""
        return self.layout_settings.contrasts

    @property
    def scans_root(self) -> Path:
        """Folder of the data set: ``root``, or the phantom's below it."""
        return self.root if self.phantom is None else self.phantom.folder(self.root)

    def prepare_data(self) -> None:
        """Make the phantom if asked for, and prepare every scan; once, though Lightning asks again.

        Raises:
            UnfitData: files are unfit, all of them in one message, and ``on_unfit`` is ``"raise"``.
        """
        if self.is_prepared:
            return
        if self.phantom is not None:
            self.phantom.write(self.root)
        found = self._find_scans()
        require_both_contrasts(self.scans_root, self.layout_settings, found.scans, found.findings)
        self.findings = [
            *found.findings,
            *self.cache.prepare(found.scans, available_processes(self.num_processes)),
            *find_mixed_formats(self.scans_root, found.scans),
            *self._duplicates([volume for scan in found.scans if (volume := self.cache.find(scan))]),
        ]
        if found.left_out:
            log.info("data.bids_filters leaves out %d scans, such as %s.", len(found.left_out), found.left_out[0].name)
        errors = [finding for finding in self.findings if finding.severity == "error"]
        if errors and self.on_unfit == "raise":
            advice = "Repair or remove them, or set data.on_unfit=skip to train without them."
            raise UnfitData(self.findings, len(found.scans), advice)
        split, pairs = self._decide()
        self.findings += left_over(self._fit_scans, self.contrasts, pairs, self.scans_root)
        self.cache.prepare_onto(
            [
                (pair.a, pair.b)
                for pair in self._comparable([*split.val, *split.test], pairs)
                if self.cache.get(pair.b).cut_as(self.cache.get(pair.a)) is None
            ],
            self.pairs_rule,
            available_processes(self.num_processes),
        )
        for finding in sorted(self.findings)[:MAX_LOGGED]:
            log.warning("%s", finding)
        if len(self.findings) > MAX_LOGGED:
            log.warning("… and %d more findings about the scans.", len(self.findings) - MAX_LOGGED)
        self.is_prepared = True

    def setup(self, stage: str | None = None) -> None:
        """Split the subjects of fit scans and open their slices."""
        if self.split is not None:
            return
        self.split, pairs = self._decide()
        train_a, train_b = (
            [self.cache.get(scan) for scan in part] for part in (self.split.train_a, self.split.train_b)
        )
        self.train_slices = UnpairedSlices(
            train_a,
            seen_alike(train_a, train_b),
            self.min_foreground,
            self.slice_range,
            self.matching,
            self.num_adjacent_slices,
            self.augmentation,
            self.seed,
        )
        self.val_pairs = self._pairs(self.split.val, pairs)
        self.test_pairs = self._pairs(self.split.test, pairs)
        self._warn_about_cropping()

    def _find_scans(self) -> Found:
        return find_scans(self.scans_root, self.layout_settings)

    @cached_property
    def _fit_scans(self) -> list[Scan]:
        """Scans to use, in every process the same: not unfit, not empty, not a copy of another; found once."""
        dropped = EmptyScan if self.on_unfit == "raise" else UnfitFile
        volumes = []
        for scan in self._find_scans().scans:
            with suppress(dropped):
                volumes.append(self.cache.get(scan))
        copies = {finding.path for finding in self._duplicates(volumes)}
        return [volume.scan for volume in volumes if volume.scan.path not in copies]

    def _duplicates(self, volumes: Sequence[CachedVolume]) -> list[Finding]:
        return find_duplicates({volume.scan: volume.record["voxel_hash"] for volume in volumes})

    def _decide(self) -> tuple[Split, list[Pair]]:
        """Who trains, validates and tests, and which scans of a session are a pair; decided once."""
        if self._decided is None:
            scans = self._fit_scans
            require_both_contrasts(self.scans_root, self.layout_settings, scans)
            pairs = find_pairs(scans, self.contrasts, self._grid)
            paired = {pair.a.subject for pair in pairs if not pair.obstacle(self.pairs_rule)}
            participants = self.scans_root / "participants.tsv"
            self._decided = divide(scans, self.contrasts, self.split_settings, participants, paired), pairs
        return self._decided

    def _grid(self, scan: Scan) -> Grid:
        record = self.cache.get(scan).record
        return Grid(record["source_shape"], np.array(record["source_affine"]))

    def _comparable(self, scans: Sequence[Scan], pairs: Sequence[Pair]) -> list[Pair]:
        chosen = set(scans)
        return [pair for pair in pairs if pair.a in chosen and not pair.obstacle(self.pairs_rule)]

    def _pairs(self, scans: Sequence[Scan], pairs: Sequence[Pair]) -> list[tuple[CachedVolume, CachedVolume]]:
        """Pairs whose slices of one number lie in one place; b is resampled onto a where they do not by themselves."""
        found = []
        for pair in self._comparable(scans, pairs):
            a, b = self.cache.get(pair.a), self.cache.get(pair.b)
            try:
                found.append((a, b.cut_as(a) or self.cache.get_onto(pair.b, a, self.pairs_rule)))
            except UnfitFile as error:
                log.warning("Left out of the paired metrics: %s", error)
        chosen = set(scans)
        left_out = [pair for pair in pairs if pair.a in chosen and pair.obstacle(self.pairs_rule)]
        if left_out:
            log.warning(
                "Both contrasts, but on different grids, so left out of the metrics with data.pairs=%s: %s (%s).",
                self.pairs_rule,
                name_some({pair.a.subject for pair in left_out}),
                left_out[0].obstacle(self.pairs_rule),
            )
        return found

    def why_no_pairs(self) -> str:
        """Where the subjects with both contrasts are, when validation has no pair."""
        split, pairs = self._decide()
        return why_no_pairs(split, self._fit_scans, pairs, self.pairs_rule)

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
        """Batches of ``a`` and ``b``, each (B, 2k + 1, H, W), with the ``changes`` they are still to get."""
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        if (self.device_slices is None or self.device_slices.device != device) and fits(
            self.train_slices, self.device_cache, device
        ):
            self.device_slices = DeviceSlices(self.train_slices, device)
        self.train_slices.positions_only = self.device_slices is not None
        repeat_epoch = self.trainer is not None and self.trainer.overfit_batches > 0  # type: ignore[attr-defined]
        return training_loader(
            self.train_slices, self.batch_size, self.num_workers, self.seed, *self._rank(), repeat_epoch
        )

    def teardown(self, stage: str | None = None) -> None:
        """Give the device's memory back when training has ended: evaluation needs it."""
        self.device_slices = None

    def _rank(self) -> tuple[int, int]:
        """Number of this process and of all that train together."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def on_after_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int) -> dict[str, Tensor]:
        """Fetch and augment a training batch where it is now, on the device; others stay as they are."""
        if self.device_slices is not None and "positions" in batch:
            batch = self.device_slices.of_batch(batch)
        if self.augmentation is None or "changes" not in batch:
            return batch
        return self.augmentation.of_batch(batch)

    def val_dataloader(self) -> DataLoader | list:
        """Batches as :class:`PairedSlices` gives them; an empty list without pairs.

        Of several processes each gets its share, none of it twice; numbers of batches may differ.
        """
        return self._paired_loader(self.val_pairs, *self._rank())

    def all_val_batches(self) -> DataLoader | list:
        """As :meth:`val_dataloader`, in every process all of them."""
        return self._paired_loader(self.val_pairs)

    def test_dataloader(self) -> DataLoader | list:
        """As :meth:`val_dataloader`, of the test subjects."""
        return self._paired_loader(self.test_pairs)

    def _paired_loader(
        self, pairs: list[tuple[CachedVolume, CachedVolume]], rank: int = 0, num_ranks: int = 1
    ) -> DataLoader | list:
        if not pairs:
            return []
        slices = PairedSlices(pairs, self.num_adjacent_slices)
        # Lightning leaves the validation out where there is no batch, and the others would wait for that process for
        # ever. So slices too few to share go to all: every sum is then so many times larger, and their ratios equal.
        step, start = (num_ranks, rank) if len(slices) >= num_ranks else (1, 0)
        return DataLoader(
            slices,
            sampler=range(start, len(slices), step),
            batch_size=self.val_batch_size,
            num_workers=0,
            generator=torch.Generator().manual_seed(self.seed),
        )

    def sample_cases(self, num_cases: int) -> list[SampleCase]:
        """Slices to watch: of validation pairs if there are any, else of unpaired validation or training scans."""
        assert self.split is not None
        num_adjacent = self.num_adjacent_slices
        if self.val_pairs:
            return [
                middle_case(*self.val_pairs[number % len(self.val_pairs)], number, num_cases, True, num_adjacent)
                for number in range(num_cases)
            ]
        val_a, val_b = ([self.cache.get(s) for s in self.split.val if s.contrast == name] for name in self.contrasts)
        if not (val_a and val_b):
            val_a, val_b = self.train_slices.volumes_a, self.train_slices.volumes_b
        return [
            middle_case(val_a[number % len(val_a)], val_b[number % len(val_b)], number, num_cases, False, num_adjacent)
            for number in range(num_cases)
        ]


def _num_subjects(scans: Sequence[Scan]) -> int:
    return len({scan.subject for scan in scans})
