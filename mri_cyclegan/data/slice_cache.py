"""Preprocessed slices on disk, memory-mapped."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from mri_cyclegan.data.atomic_folder import atomic_folder
from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.transforms import PERCENTILES, Preprocessing
from mri_cyclegan.data.volume import read_volume

# Changes whenever the slices of a file would change at the same settings.
VERSION = 2


class SliceCache:
    """Folder of prepared volumes, one subfolder each.

    The subfolder's name is a hash of the file's bytes and of everything that shapes its slices, so an entry is never
    stale: a changed file or setting has another name. Entries appear whole or not at all.

    Args:
        folder: made if it does not exist.
        preprocessing: how volumes become slices.
        volume_index: see :func:`mri_cyclegan.data.volume.read_volume`.
    """

    def __init__(self, folder: str | Path, preprocessing: Preprocessing, volume_index: int | None = None) -> None:
        self.folder = Path(folder)
        self.preprocessing = preprocessing
        self.volume_index = volume_index
        self._names: dict[Path, str] = {}

    def get(self, scan: Scan) -> CachedVolume:
        """Slices of a scan, prepared now if they were not.

        Raises:
            ValueError: the file is unfit; the message names it.
        """
        folder = self.folder / self._name(scan.path)
        if not folder.is_dir():
            self._prepare(scan.path, folder)
        return CachedVolume(scan, folder)

    def _name(self, path: Path) -> str:
        if path not in self._names:
            settings = {"version": VERSION, "percentiles": PERCENTILES, "volume_index": self.volume_index}
            digest = hashlib.sha256(json.dumps(settings | asdict(self.preprocessing), sort_keys=True).encode())
            try:
                with path.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
            except OSError as error:
                raise ValueError(f"{path}: cannot be read ({error.strerror}).") from error
            self._names[path] = digest.hexdigest()[:32]
        return self._names[path]

    def _prepare(self, path: Path, folder: Path) -> None:
        volume = read_volume(path, self.volume_index)
        try:
            prepared = self.preprocessing(volume)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        record = prepared.record | {"foreground_share": prepared.foreground.mean(axis=(1, 2)).tolist()}
        with atomic_folder(folder) as partial:
            np.save(partial / "slices.npy", prepared.slices)
            np.save(partial / "foreground.npy", prepared.foreground)
            (partial / "record.json").write_text(json.dumps(record))
