"""Our loader and MONAI's on the same synthetic slices."""

import json
import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import monai.data
import numpy as np
import torch
from monai.transforms import (
    Compose,
    Lambdad,
    RandAdjustContrastd,
    RandAffined,
    RandFlipd,
    RandScaleIntensityd,
    ToTensord,
)
from torch import Tensor

from mri_cyclegan.data.augmentation import Augmentation
from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.datasets import UnpairedSlices, training_loader
from mri_cyclegan.data.layouts import Scan
from mri_cyclegan.data.matching import Matching

SLICES_PER_VOLUME = 100

# As in conf/data/_shared.yaml: rotation in degrees, shift, scale, brightness, contrast.
ROTATION, SHIFT, SCALE, BRIGHTNESS, CONTRAST = 8.0, 0.04, 0.05, 0.05, 0.1

# Returns one epoch of batches on each call.
Batches = Callable[[], Iterator[dict[str, Tensor]]]


def write_volumes(folder: Path, contrast: str, num_slices: int, image_size: int) -> list[CachedVolume]:
    """Write volumes as the slice cache does: noise in a bright box on background."""
    volumes = []
    for number, start in enumerate(range(0, num_slices, SLICES_PER_VOLUME)):
        shape = (min(SLICES_PER_VOLUME, num_slices - start), image_size, image_size)
        foreground = np.zeros(shape, dtype=bool)
        inside = slice(image_size // 6, -image_size // 6)
        foreground[:, inside, inside] = True
        noise = np.random.default_rng(number).uniform(-0.9, 1, shape)
        entry = folder / f"{contrast}-{number}"
        entry.mkdir(parents=True)
        np.save(entry / "slices.npy", np.where(foreground, noise, -1).astype(np.float32))
        np.save(entry / "foreground.npy", foreground)
        shares = foreground.mean(axis=(1, 2)).tolist()
        (entry / "record.json").write_text(json.dumps({"shape": shape, "foreground_share": shares}), encoding="utf-8")
        volumes.append(CachedVolume(Scan(f"sub-{number}", "", contrast, entry), entry))
    return volumes


def candidates(
    volumes_a: list[CachedVolume], volumes_b: list[CachedVolume], batch_size: int
) -> dict[str, Callable[[int], Batches]]:
    """Loaders to measure, by name; each is created for a number of loader processes."""
    ours, monais = (partial(make, volumes_a, volumes_b, batch_size) for make in (our_batches, monai_batches))
    return {
        "ours, raw from disk": partial(ours, False),
        "ours, augmented on the CPU": partial(ours, True),
        "MONAI, raw from memory": partial(monais, False),
        "MONAI, augmented": partial(monais, True),
    }


def our_batches(
    volumes_a: list[CachedVolume], volumes_b: list[CachedVolume], batch_size: int, augment: bool, num_workers: int
) -> Batches:
    """The data module's loader; raw slices come with the augmentation parameters that a device would still apply."""
    augmentation = Augmentation(ROTATION, SHIFT, SCALE, True, BRIGHTNESS, CONTRAST)
    data = UnpairedSlices(volumes_a, volumes_b, 0.0, (0.0, 1.0), Matching("none", 0.0), 0, augmentation, seed=0)
    loader = training_loader(data, batch_size, num_workers, seed=0)

    def batches() -> Iterator[dict[str, Tensor]]:
        for batch in loader:
            yield augmentation.of_batch(batch) if augment else batch

    return batches


def monai_batches(
    volumes_a: list[CachedVolume], volumes_b: list[CachedVolume], batch_size: int, augment: bool, num_workers: int
) -> Batches:
    """MONAI's usual setup: slices kept in memory, random transforms applied one by one in the loader."""
    places = ([(volume, index) for volume in of for index in range(volume.num_slices)] for of in (volumes_a, volumes_b))
    items = [{"a": a, "b": b} for a, b in zip(*places, strict=True)]
    keys = ("a", "b")
    prepare = [Lambdad(keys, _read), ToTensord(keys)]
    image_size = volumes_a[0].record["shape"][1]
    change = [
        RandFlipd(keys, prob=0.5, spatial_axis=1),
        RandAffined(
            keys,
            prob=1.0,
            rotate_range=math.radians(ROTATION),
            translate_range=[SHIFT * image_size] * 2,
            scale_range=[SCALE] * 2,
            padding_mode="zeros",
        ),
        RandScaleIntensityd(keys, prob=1.0, factors=BRIGHTNESS),
        RandAdjustContrastd(keys, prob=1.0, gamma=(1 / (1 + CONTRAST), 1 + CONTRAST)),
    ]
    data = monai.data.CacheDataset(items, Compose(prepare + (change if augment else [])), progress=False)
    loader = monai.data.DataLoader(
        data,
        batch_size=batch_size,
        shuffle=True,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        generator=torch.Generator().manual_seed(0),
    )
    return lambda: iter(loader)


def _read(place: tuple[CachedVolume, int]) -> np.ndarray:
    """Read a slice, in [0, 1] with background 0."""
    volume, index = place
    return (volume.stack(index, 0) + 1) / 2
