"""The LightningDataModule: finds, checks, splits, prepares and loads scans."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from mri_cyclegan.data.augmentation import Augmentation
from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.datasets import PairedSlices, UnpairedSlices, training_loader
from mri_cyclegan.data.device_slices import DeviceSlices, should_cache_on_device
from mri_cyclegan.data.findings import Finding
from mri_cyclegan.data.layouts import LayoutSettings, Scan
from mri_cyclegan.data.layouts.entities import FilterValue
from mri_cyclegan.data.matching import Matching, crop_to_partners
from mri_cyclegan.data.phantom import Phantom
from mri_cyclegan.data.prepared_scans import PreparedScans
from mri_cyclegan.data.sample_cases import SampleCase, middle_cases
from mri_cyclegan.data.slice_cache import SliceCache
from mri_cyclegan.data.splits.settings import SplitSettings
from mri_cyclegan.data.splits.split import Split
from mri_cyclegan.data.transforms import Preprocessing
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.data.windows import warn_about_cropping

DEFAULT_AUGMENTATION = Augmentation()


class MRIDataModule(pl.LightningDataModule):
    """Unpaired slices for training, paired slices for validation and test.

    Args:
        root: folder of the data set.
        layout: see :class:`mri_cyclegan.data.layouts.LayoutSettings`, also for ``contrasts``, ``subject_pattern``,
            ``names_identify_subjects``, ``bids_filters``, ``pattern_a`` and ``pattern_b``.
        volume_index: see :class:`mri_cyclegan.data.volume.ReadOptions`, also for ``nonfinite``,
            ``assume_orientation`` and ``series_uids``.
        on_unfit: see :class:`mri_cyclegan.data.prepared_scans.PreparedScans`, also for ``pairs`` and ``num_processes``.
        split_file: see :class:`mri_cyclegan.data.splits.settings.SplitSettings`, also for ``split_column``,
            ``num_folds``, ``fold``, ``val_share``, ``test_share``, ``stratify_by``, ``split_seed`` and
            ``allow_paired_subjects``.
        plane: see :class:`mri_cyclegan.data.transforms.Preprocessing`, also for ``spacing_mm`` and ``image_size``.
        min_foreground: see :class:`mri_cyclegan.data.datasets.UnpairedSlices`, also for ``slice_range``.
        match: see :class:`mri_cyclegan.data.matching.Matching`, also for ``match_tolerance``.
        num_adjacent_slices: neighboring slices on either side of each slice, k; see :mod:`mri_cyclegan.slice_stack`.
        augmentation: augmentation of training slices, or None.
        batch_size: slices of each contrast in a training batch.
        val_batch_size: slices in a validation batch.
        num_workers: loader processes; 0 loads in the main process.
        cache_root: folder of the prepared slices.
        device_cache: whether to keep all training slices in the memory of the training device, see
            :func:`mri_cyclegan.data.device_slices.should_cache_on_device`.
        seed: seed of the sample order, the draws of b and the augmentation.
        phantom: generates the data set below ``root`` first; None for existing scans.
    """

    def __init__(
        self,
        root: str,
        *,
        layout: str = "bids",
        contrasts: Sequence[str] = ("T1w", "T2w"),
        subject_pattern: str | None = None,
        names_identify_subjects: bool | None = None,
        bids_filters: Mapping[str, Mapping[str, FilterValue]] | None = None,
        pattern_a: str | None = None,
        pattern_b: str | None = None,
        volume_index: int | None = None,
        nonfinite: str = "raise",
        assume_orientation: str | None = None,
        series_uids: Sequence[str] = (),
        on_unfit: str = "raise",
        split_file: str | None = None,
        split_column: str | None = None,
        num_folds: int | None = None,
        fold: int = 0,
        val_share: float = 0.1,
        test_share: float = 0.1,
        stratify_by: str | None = None,
        split_seed: int = 0,
        allow_paired_subjects: bool = False,
        plane: str = "axial",
        spacing_mm: float | None = 1.0,
        image_size: int = 256,
        min_foreground: float = 0.05,
        slice_range: Sequence[float] = (0.0, 1.0),
        match: str = "none",
        match_tolerance: float = 0.05,
        pairs: str = "space",
        num_adjacent_slices: int = 0,
        augmentation: Augmentation | None = DEFAULT_AUGMENTATION,
        batch_size: int = 1,
        val_batch_size: int = 16,
        num_workers: int = 2,
        num_processes: int | None = None,
        cache_root: str = "outputs/cache",
        device_cache: str | bool = "auto",
        seed: int = 0,
        phantom: Phantom | None = None,
    ) -> None:
        super().__init__()
        if len(slice_range) != 2 or not 0 <= slice_range[0] < slice_range[1] <= 1:
            raise ValueError(f"data.slice_range: expected [low, high] between 0 and 1, got {list(slice_range)}.")
        if num_adjacent_slices < 0:
            raise ValueError(f"data.num_adjacent_slices: expected 0 or more, got {num_adjacent_slices}.")
        if device_cache not in ("auto", True, False):
            raise ValueError(f"data.device_cache: expected auto, true or false, got {device_cache!r}.")
        self.root, self.phantom = Path(root).expanduser(), phantom
        self.preprocessing = Preprocessing(plane, spacing_mm, image_size)
        options = ReadOptions(volume_index, nonfinite, assume_orientation, tuple(map(str, series_uids)))
        self.scans = PreparedScans(
            self.scans_root,
            LayoutSettings(
                layout,
                tuple(contrasts),
                subject_pattern,
                names_identify_subjects,
                bids_filters or {},
                pattern_a,
                pattern_b,
            ),
            SplitSettings(
                split_file=split_file,
                split_column=split_column,
                num_folds=num_folds,
                fold=fold,
                val_share=val_share,
                test_share=test_share,
                stratify_by=stratify_by,
                split_seed=split_seed,
                allow_paired_subjects=allow_paired_subjects,
            ),
            SliceCache(Path(cache_root).expanduser(), self.preprocessing, options),
            on_unfit,
            pairs,
            num_processes,
        )
        self.min_foreground, self.slice_range = min_foreground, (slice_range[0], slice_range[1])
        self.matching = Matching(match, match_tolerance)
        self.num_adjacent_slices = num_adjacent_slices
        self.augmentation = augmentation
        self.batch_size, self.val_batch_size, self.num_workers = batch_size, val_batch_size, num_workers
        self.device_cache, self.seed = device_cache, seed
        self.device_slices: DeviceSlices | None = None
        self.is_prepared = False
        self.split: Split | None = None

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Names of a and b."""
        return self.scans.layout.contrasts

    @property
    def cache(self) -> SliceCache:
        """Cache of the prepared slices."""
        return self.scans.cache

    @property
    def findings(self) -> list[Finding]:
        """Errors and warnings about the scans, available after :meth:`prepare_data`."""
        return self.scans.findings

    def why_no_pairs(self) -> str:
        """Explain why validation has no pair: where the subjects with both contrasts are."""
        return self.scans.why_no_pairs()

    @property
    def scans_root(self) -> Path:
        """Folder of the data set: ``root``, or the phantom's below it."""
        return self.root if self.phantom is None else self.phantom.folder(self.root)

    def prepare_data(self) -> None:
        """Generate the phantom if configured and prepare every scan; repeated calls by Lightning do nothing.

        Raises:
            UnfitData: ``on_unfit`` is ``"raise"`` and files are unfit; one message lists them all.
        """
        if self.is_prepared:
            return
        if self.phantom is not None:
            self.phantom.write(self.root)
        self.scans.prepare()
        self.is_prepared = True

    def setup(self, stage: str | None = None) -> None:
        """Split the subjects of all usable scans and create the data sets of their slices."""
        if self.split is not None:
            return
        self.split, _ = self.scans.split_and_pairs
        train_a, train_b = (
            [self.cache.get(scan) for scan in part] for part in (self.split.train_a, self.split.train_b)
        )
        self.train_slices = UnpairedSlices(
            train_a,
            crop_to_partners(train_a, train_b),
            self.min_foreground,
            self.slice_range,
            self.matching,
            self.num_adjacent_slices,
            self.augmentation,
            self.seed,
        )
        self.val_pairs = self.scans.paired_volumes(self.split.val)
        self.test_pairs = self.scans.paired_volumes(self.split.test)
        volumes = (*self.train_slices.volumes_a, *self.train_slices.volumes_b)
        lost = {str(volume.scan.path): volume.record["foreground_lost"] for volume in volumes}
        warn_about_cropping(lost, self.preprocessing.image_size)

    def describe(self) -> str:
        """Summarize in one line the numbers of subjects, slices and pairs, and any exception to unpaired training."""
        assert self.split is not None
        name_a, name_b = self.contrasts
        slices = self.train_slices
        return (
            f"Training on {len(slices.slices_a)} {name_a} slices of {_num_subjects(self.split.train_a)} subjects and "
            f"{len(slices.slices_b)} {name_b} slices of {_num_subjects(self.split.train_b)}; pairs for validation: "
            f"{len(self.val_pairs)}, for test: {len(self.test_pairs)}. {self.split.pairing}".rstrip()
        )

    def train_dataloader(self) -> DataLoader:
        """Batches of ``a`` and ``b``, each (B, 2k + 1, H, W), with the augmentation ``changes`` yet to be applied."""
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        if (self.device_slices is None or self.device_slices.device != device) and should_cache_on_device(
            self.train_slices, self.device_cache, device
        ):
            self.device_slices = DeviceSlices(self.train_slices, device)
        self.train_slices.positions_only = self.device_slices is not None
        repeat_epoch = self.trainer is not None and self.trainer.overfit_batches > 0  # type: ignore[attr-defined]
        return training_loader(
            self.train_slices, self.batch_size, self.num_workers, self.seed, *self._rank_and_world_size(), repeat_epoch
        )

    def teardown(self, stage: str | None = None) -> None:
        """Free the device memory of the slices after training: evaluation needs it."""
        self.device_slices = None

    def _rank_and_world_size(self) -> tuple[int, int]:
        """Rank of this process and number of ranks."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def on_after_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int) -> dict[str, Tensor]:
        """Look up and augment a training batch on the device; return other batches unchanged."""
        if self.device_slices is not None and "positions" in batch:
            batch = self.device_slices.of_batch(batch)
        if self.augmentation is None or "changes" not in batch:
            return batch
        return self.augmentation.of_batch(batch)

    def val_dataloader(self) -> DataLoader | list:
        """Batches of :class:`PairedSlices`; an empty list without pairs.

        The slices are divided among the ranks without repetition, so the number of batches may differ between ranks.
        With fewer slices than ranks, every rank gets all slices.
        """
        return self._paired_loader(self.val_pairs, *self._rank_and_world_size())

    def all_val_batches(self) -> DataLoader | list:
        """Like :meth:`val_dataloader`, but all slices on every rank."""
        return self._paired_loader(self.val_pairs)

    def test_dataloader(self) -> DataLoader | list:
        """Like :meth:`all_val_batches`, for the test subjects."""
        return self._paired_loader(self.test_pairs)

    def _paired_loader(
        self, pairs: list[tuple[CachedVolume, CachedVolume]], rank: int = 0, num_ranks: int = 1
    ) -> DataLoader | list:
        if not pairs:
            return []
        slices = PairedSlices(pairs, self.num_adjacent_slices)
        # Lightning skips validation on a rank without batches, and the other ranks would wait for it forever. So with
        # fewer slices than ranks, every rank gets all slices: all sums grow by the same factor, their ratios stay.
        step, start = (num_ranks, rank) if len(slices) >= num_ranks else (1, 0)
        return DataLoader(
            slices,
            sampler=range(start, len(slices), step),
            batch_size=self.val_batch_size,
            num_workers=0,
            generator=torch.Generator().manual_seed(self.seed),
        )

    def sample_cases(self, num_cases: int) -> list[SampleCase]:
        """Slices to watch during training: from validation pairs, else from unpaired validation or training scans."""
        assert self.split is not None
        if self.val_pairs:
            return middle_cases(self.val_pairs, num_cases, True, self.num_adjacent_slices)
        val_a, val_b = ([self.cache.get(s) for s in self.split.val if s.contrast == name] for name in self.contrasts)
        if not (val_a and val_b):
            val_a, val_b = self.train_slices.volumes_a, self.train_slices.volumes_b
        unpaired = [(val_a[number % len(val_a)], val_b[number % len(val_b)]) for number in range(num_cases)]
        return middle_cases(unpaired, num_cases, False, self.num_adjacent_slices)


def _num_subjects(scans: Sequence[Scan]) -> int:
    return len({scan.subject for scan in scans})
