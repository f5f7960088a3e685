"""Finds, checks, splits and preprocesses the scans of a data set."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np

from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.findings import EmptyScan, Finding, UnfitData, UnfitFile
from mri_cyclegan.data.grids import Grid
from mri_cyclegan.data.integrity import find_duplicates, find_mixed_formats
from mri_cyclegan.data.layouts import Found, LayoutSettings, Scan, find_scans, require_both_contrasts
from mri_cyclegan.data.missing_pairs import why_no_pairs
from mri_cyclegan.data.pairs import RULES, Pair, find_pairs, find_unpaired_scans
from mri_cyclegan.data.parallel import available_processes
from mri_cyclegan.data.register import require_simpleitk
from mri_cyclegan.data.slice_cache import SliceCache
from mri_cyclegan.data.splits.settings import SplitSettings
from mri_cyclegan.data.splits.split import Split, split_subjects
from mri_cyclegan.text import listing

log = logging.getLogger(__name__)

# Findings shown in the log; the run folder has all of them.
MAX_LOGGED = 10


class PreparedScans:
    """Usable scans of a data set, with their slices in the cache.

    Args:
        root: folder of the data set.
        layout: how scans, contrasts and subjects are recognized.
        split: how subjects are split into training, validation and test.
        cache: cache of preprocessed slices.
        on_unfit: ``"raise"`` refuses a data set with unfit files, ``"skip"`` leaves these files out.
        pairs_rule: how scans of one session on different grids are compared, see :data:`mri_cyclegan.data.pairs.RULES`.
        num_processes: number of processes that prepare slices; None for one per core, at most eight.

    Attributes:
        findings: findings about the scans, filled by :meth:`prepare`.

    Raises:
        ValueError: ``on_unfit`` or ``pairs_rule`` is unknown, or SimpleITK is needed but not installed.
    """

    def __init__(
        self,
        root: Path,
        layout: LayoutSettings,
        split: SplitSettings,
        cache: SliceCache,
        on_unfit: str,
        pairs_rule: str,
        num_processes: int | None,
    ) -> None:
        if on_unfit not in ("raise", "skip"):
            raise ValueError(f"data.on_unfit: expected raise or skip, got {on_unfit!r}.")
        if pairs_rule not in RULES:
            raise ValueError(f"data.pairs: expected one of {', '.join(RULES)}, got {pairs_rule!r}.")
        if pairs_rule == "register":
            require_simpleitk("data.pairs=register")
        self.root, self.layout, self.split_settings, self.cache = root, layout, split, cache
        self.on_unfit, self.pairs_rule, self.num_processes = on_unfit, pairs_rule, num_processes
        self.findings: list[Finding] = []

    def prepare(self) -> None:
        """Prepare the slices of every scan, and log findings.

        Raises:
            UnfitData: ``on_unfit`` is ``"raise"`` and files are unfit; one message lists them all.
        """
        found = self._find_scans()
        require_both_contrasts(self.root, self.layout, found.scans, found.findings)
        self.findings = [
            *found.findings,
            *self.cache.prepare(found.scans, available_processes(self.num_processes)),
            *find_mixed_formats(self.root, found.scans),
            *self._duplicates([volume for scan in found.scans if (volume := self.cache.find(scan))]),
        ]
        if found.left_out:
            log.info("data.bids_filters leaves out %d scans, such as %s.", len(found.left_out), found.left_out[0].name)
        errors = [finding for finding in self.findings if finding.severity == "error"]
        if errors and self.on_unfit == "raise":
            advice = "Repair or remove them, or set data.on_unfit=skip to train without them."
            raise UnfitData(self.findings, len(found.scans), advice)
        split, pairs = self.split_and_pairs
        self.findings += find_unpaired_scans(self._usable_scans, self.layout.contrasts, pairs, self.root)
        self.cache.prepare_resampled(
            [
                (pair.a, pair.b)
                for pair in self._comparable([*split.val, *split.test], pairs)
                if self.cache.get(pair.b).cropped_like(self.cache.get(pair.a)) is None
            ],
            self.pairs_rule,
            available_processes(self.num_processes),
        )
        for finding in sorted(self.findings)[:MAX_LOGGED]:
            log.warning("%s", finding)
        if len(self.findings) > MAX_LOGGED:
            log.warning("… and %d more findings about the scans.", len(self.findings) - MAX_LOGGED)

    def _find_scans(self) -> Found:
        return find_scans(self.root, self.layout)

    @cached_property
    def _usable_scans(self) -> list[Scan]:
        """Scans that are neither unfit, empty nor duplicates; the same in every process, and found once."""
        dropped = EmptyScan if self.on_unfit == "raise" else UnfitFile
        volumes = []
        for scan in self._find_scans().scans:
            with suppress(dropped):
                volumes.append(self.cache.get(scan))
        copies = {finding.path for finding in self._duplicates(volumes)}
        return [volume.scan for volume in volumes if volume.scan.path not in copies]

    def _duplicates(self, volumes: Sequence[CachedVolume]) -> list[Finding]:
        return find_duplicates({volume.scan: volume.record["voxel_hash"] for volume in volumes})

    @cached_property
    def split_and_pairs(self) -> tuple[Split, list[Pair]]:
        """The split by subject, and the pairs of scans of one session; computed once."""
        scans = self._usable_scans
        require_both_contrasts(self.root, self.layout, scans)
        pairs = find_pairs(scans, self.layout.contrasts, self._grid)
        paired = {pair.a.subject for pair in pairs if not pair.why_not_comparable(self.pairs_rule)}
        participants = self.root / "participants.tsv"
        return split_subjects(scans, self.layout.contrasts, self.split_settings, participants, paired), pairs

    def _grid(self, scan: Scan) -> Grid:
        record = self.cache.get(scan).record
        return Grid(record["source_shape"], np.array(record["source_affine"]))

    def _comparable(self, scans: Sequence[Scan], pairs: Sequence[Pair]) -> list[Pair]:
        chosen = set(scans)
        return [pair for pair in pairs if pair.a in chosen and not pair.why_not_comparable(self.pairs_rule)]

    def paired_volumes(self, scans: Sequence[Scan]) -> list[tuple[CachedVolume, CachedVolume]]:
        """Pairs of volumes whose slices match by index: b is cropped like a or, on another grid, resampled onto a.

        Args:
            scans: scans of one part of the split.
        """
        _, pairs = self.split_and_pairs
        found = []
        for pair in self._comparable(scans, pairs):
            a, b = self.cache.get(pair.a), self.cache.get(pair.b)
            try:
                found.append((a, b.cropped_like(a) or self.cache.get_resampled(pair.b, a, self.pairs_rule)))
            except UnfitFile as error:
                log.warning("Left out of the paired metrics: %s", error)
        chosen = set(scans)
        left_out = [pair for pair in pairs if pair.a in chosen and pair.why_not_comparable(self.pairs_rule)]
        if left_out:
            log.warning(
                "Both contrasts, but on different grids, so left out of the metrics with data.pairs=%s: %s (%s).",
                self.pairs_rule,
                listing(sorted({pair.a.subject for pair in left_out})),
                left_out[0].why_not_comparable(self.pairs_rule),
            )
        return found

    def why_no_pairs(self) -> str:
        """Explain why validation has no pair, naming the subjects that have both contrasts."""
        split, pairs = self.split_and_pairs
        return why_no_pairs(split, self._usable_scans, pairs, self.pairs_rule)
