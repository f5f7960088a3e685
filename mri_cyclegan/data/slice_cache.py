"""On-disk cache of preprocessed slices."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mri_cyclegan.data.appearance import appearance
from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.findings import Finding, UnfitFile
from mri_cyclegan.data.integrity import voxel_hash
from mri_cyclegan.data.intensities import PERCENTILES
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.parallel import map_in_processes
from mri_cyclegan.data.reading import read_shape, read_volume
from mri_cyclegan.data.resampled_slices import resampled_slices
from mri_cyclegan.data.scaled_reading import scaled_with_findings
from mri_cyclegan.data.source_hash import SourceHashes
from mri_cyclegan.data.transforms import Preprocessing
from mri_cyclegan.data.volume import ReadOptions
from mri_cyclegan.data.windows import cropped_affine
from mri_cyclegan.filesystem import atomic_folder, free_bytes, remove_abandoned

# Increase it whenever the same file and settings would give different slices.
VERSION = 6

# A worker process takes seconds to start, so each should get at least this much to prepare: about twenty 1 mm scans.
VOXELS_PER_PROCESS = 150_000_000

# Disk space that must stay free beyond the estimate.
SPARE_BYTES = 200_000_000


class SliceCache:
    """Cache folder of prepared volumes, with one subfolder per volume.

    A subfolder is named by a hash of the file's bytes and of everything that affects its slices, so entries are never
    stale: a changed file or setting gets another name. Entries are written atomically and may be deleted at any time;
    they are then prepared again.

    Args:
        folder: cache folder; created if it does not exist.
        preprocessing: how volumes become slices.
        options: how to read incomplete, ambiguous or unusual files.
    """

    def __init__(self, folder: str | Path, preprocessing: Preprocessing, options: ReadOptions = ReadOptions()) -> None:
        self.folder = Path(folder)
        self.preprocessing = preprocessing
        self.options = options
        self._sources = SourceHashes(self.folder / "sources")

    def get(self, scan: Scan) -> CachedVolume:
        """Slices of a scan, prepared now if they are not in the cache.

        Raises:
            UnfitFile: the scan is unfit; the message names it and says why.
        """
        volume = CachedVolume(scan, self.folder / self._name(scan.path))
        existed = volume.folder.is_dir()
        if not volume.is_complete():
            if existed:  # entries are written atomically, so it was damaged later
                shutil.rmtree(volume.folder)
            self._prepare(scan.path, volume.folder)
        return volume

    def find(self, scan: Scan) -> CachedVolume | None:
        """Slices of a scan if they are in the cache, else None."""
        try:
            volume = CachedVolume(scan, self.folder / self._name(scan.path))
        except UnfitFile:
            return None
        return volume if volume.is_complete() else None

    def get_resampled(self, scan: Scan, fixed: CachedVolume, rule: str) -> CachedVolume:
        """Slices of a scan resampled onto those of another scan of the same head, prepared now if not in the cache.

        For validation only: the slices are interpolated, and unknown beyond the scan's field of view.

        Args:
            scan: scan of the second contrast.
            fixed: slices of the first contrast.
            rule: see :data:`mri_cyclegan.data.pairs.RULES`.

        Raises:
            UnfitFile: the two show no common head.
        """
        volume = CachedVolume(scan, self.folder / self._name(scan.path, onto=[self._name(fixed.scan.path), rule]))
        if not volume.is_complete():
            shutil.rmtree(volume.folder, ignore_errors=True)
            self._write(volume.folder, *resampled_slices(self.get(scan), fixed, rule, self.options))
        return volume

    def prepare_resampled(self, pairs: Sequence[tuple[Scan, Scan]], rule: str, num_processes: int) -> None:
        """Prepare the slices of :meth:`get_resampled` in several processes; those that fail raise when requested."""
        map_in_processes(
            partial(_prepare_onto_in_process, self, rule), pairs, num_processes, "Aligning pairs", lambda pair: None
        )

    def prepare(self, scans: Sequence[Scan], num_processes: int) -> list[Finding]:
        """Prepare all scans that are not in the cache, in several processes if that saves time.

        Returns:
            Findings: errors of unfit scans, and warnings about scans, cached ones included.

        Raises:
            ValueError: the disk has too little space, or the folder cannot be written.
        """
        for folder in (self.folder, self._sources.folder):
            remove_abandoned(folder)
        missing = [scan for scan in scans if self.find(scan) is None]
        sizes = [self._num_voxels_and_bytes(scan) for scan in missing]
        self._check_free_space(sum(num_bytes for _, num_bytes in sizes))
        num_useful = 1 + sum(num_voxels for num_voxels, _ in sizes) // VOXELS_PER_PROCESS
        results = map_in_processes(
            partial(_prepare_in_process, self),
            missing,
            min(num_processes, num_useful),
            "Preparing slices",
            lambda scan: [_killed(scan)],
        )
        refused = [finding for findings in results for finding in findings]
        return refused + [finding for scan in scans if (volume := self.find(scan)) for finding in volume.warnings]

    def _name(self, path: Path, **more: Any) -> str:
        settings = {"version": VERSION, "percentiles": PERCENTILES, "options": asdict(self.options)} | more
        words = json.dumps(settings | asdict(self.preprocessing), sort_keys=True) + self._sources.of(path)
        return hashlib.sha256(words.encode()).hexdigest()[:32]

    def _num_voxels_and_bytes(self, scan: Scan) -> tuple[int, int]:
        try:
            shape, affine = read_shape(scan.path, self.options)
        except UnfitFile:
            return 0, 0  # preparing it reports why
        return int(np.prod(shape)), self.preprocessing.num_bytes(shape, affine)

    def _check_free_space(self, num_bytes: int) -> None:
        free = free_bytes(self.folder)
        if num_bytes and free < num_bytes + SPARE_BYTES:
            raise ValueError(
                f"data.cache_root: the slices need {num_bytes / 1e9:.1f} GB, but {self.folder} has {free / 1e9:.1f} GB "
                "free. Set data.cache_root to a larger disk, or lower data.image_size."
            )

    def _prepare(self, path: Path, folder: Path) -> None:
        volume = read_volume(path, self.options)
        scaled, findings = scaled_with_findings(volume, path)
        prepared = self.preprocessing.slices_of(scaled)
        size = self.preprocessing.image_size
        row, column = prepared.record["window"]
        seen = prepared.foreground[:, row : row + size, column : column + size]
        record = prepared.record | {
            "affine": cropped_affine(prepared.record["affine"], row, column).tolist(),
            "appearance": appearance(scaled),
            "field_shape": list(prepared.slices.shape[1:]),
            "foreground_share": seen.mean(axis=(1, 2)).tolist(),
            "shape": list(seen.shape),
            "voxel_hash": voxel_hash(volume),
            "warnings": [finding.as_json() for finding in findings],
        }
        self._write(folder, {"slices": prepared.slices, "foreground": prepared.foreground}, record)

    def _write(self, folder: Path, arrays: Mapping[str, np.ndarray], record: Mapping[str, Any]) -> None:
        try:
            with atomic_folder(folder) as unfinished:
                for name, array in arrays.items():
                    np.save(unfinished / f"{name}.npy", array)
                (unfinished / "record.json").write_text(json.dumps(record), encoding="utf-8")
        except OSError as error:
            raise ValueError(
                f"data.cache_root: {self.folder} cannot be written ({error.strerror or error}). "
                "Make room, or set data.cache_root to another folder."
            ) from error


def _prepare_in_process(cache: SliceCache, scan: Scan) -> list[Finding]:
    try:
        cache.get(scan)
    except UnfitFile as error:
        return [error.finding]
    return []


def _prepare_onto_in_process(cache: SliceCache, rule: str, pair: tuple[Scan, Scan]) -> None:
    with suppress(UnfitFile):
        cache.get_resampled(pair[1], cache.get(pair[0]), rule)


def _killed(scan: Scan) -> Finding:
    problem = "the process that prepared it was killed, probably because memory ran out"
    return Finding("error", scan.path, problem, "Lower data.num_processes, or crop the scan.")
