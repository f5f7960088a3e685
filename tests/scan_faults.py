"""Faults that make a scan's head hard to find; what each does to voxels that it leaves alone is known."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

# 64 in a scan of 1 mm, fewer in small ones, where they would be a part of the picture.
MAX_STRAYS, VOXELS_PER_STRAY = 64, 10_000


class Faulty(NamedTuple):
    """A scan with a fault.

    Attributes:
        array: (X, Y, Z) float32; ``gain`` · clean + ``offset`` where the fault is not.
        width: of padding on every side.
        lost: (X, Y, Z) bool of the padded array: voxels that the fault wrote over; None if single ones at most.
    """

    array: np.ndarray
    gain: float = 1.0
    offset: float = 0.0
    width: int = 0
    lost: np.ndarray | None = None


Fault = Callable[[np.ndarray, np.ndarray], Faulty]


def strays(
    clean: np.ndarray, head: np.ndarray, heights: tuple[float, ...], count: int = MAX_STRAYS, where: str = ""
) -> Faulty:
    """Single voxels at some heights, in units of the head's brightness."""
    array = clean.copy()
    count = min(count, max(1, clean.size // VOXELS_PER_STRAY))
    place = {"": np.ones_like(head), "head": head, "air": ~head}[where]
    chosen = np.random.default_rng(1).choice(np.flatnonzero(place), (len(heights), count), replace=False)
    for height, indices in zip(heights, chosen, strict=True):
        array.ravel()[indices] = height * _bright(clean, head)
    return Faulty(array)


def block(clean: np.ndarray, head: np.ndarray, height: float) -> Faulty:
    """64 voxels side by side, near a corner."""
    array = clean.copy()
    array[3:7, 3:7, 3:7] = height * _bright(clean, head)
    return Faulty(array)


def pad(clean: np.ndarray, head: np.ndarray, height: float, width: int = 6) -> Faulty:
    """A rim around the field of view."""
    array = np.pad(clean, width, constant_values=np.float32(height * _bright(clean, head)))
    return Faulty(array, width=width)


def rim(clean: np.ndarray, head: np.ndarray, height: float, width: int = 2) -> Faulty:
    """A rim that takes the place of the outer voxels."""
    inner = (slice(width, -width),) * 3
    array = np.full_like(clean, height * _bright(clean, head))
    array[inner] = clean[inner]
    lost = np.ones(clean.shape, bool)
    lost[inner] = False
    return Faulty(array, lost=lost)


def nested(clean: np.ndarray, head: np.ndarray) -> Faulty:
    """A rim of -1024 or so, and zeros around it."""
    inner = pad(clean, head, -1.0)
    return Faulty(np.pad(inner.array, 4), width=10)


def cylinder(clean: np.ndarray, head: np.ndarray, height: float) -> Faulty:
    """Padding outside of a round field of view."""
    x, y = np.ogrid[-1 : 1 : clean.shape[0] * 1j, -1 : 1 : clean.shape[1] * 1j]
    outside = np.broadcast_to((x**2 + y**2 > 1)[..., None], clean.shape)
    return Faulty(np.where(outside, np.float32(height * _bright(clean, head)), clean), lost=outside & ~head)


def slab(clean: np.ndarray, head: np.ndarray, axis: int, where: slice, height: float) -> Faulty:
    """Slices of one value."""
    lost = np.zeros(clean.shape, bool)
    np.moveaxis(lost, axis, 0)[where] = True
    return Faulty(np.where(lost, np.float32(height * _bright(clean, head)), clean), lost=lost)


def z_scored(clean: np.ndarray, head: np.ndarray, outside: float | None) -> Faulty:
    """Mean 0 and standard deviation 1 over what is not exactly 0; there, a value of its own."""
    measured = clean != 0
    mean, deviation = float(clean[measured].mean()), float(clean[measured].std())
    array = ((clean - mean) / deviation).astype(np.float32)
    if outside is not None:
        array[~measured] = outside
    return Faulty(array, 1 / deviation, -mean / deviation)


def linear(clean: np.ndarray, head: np.ndarray, gain: float, offset: float) -> Faulty:
    """Other units."""
    return Faulty((gain * clean + offset).astype(np.float32), gain, offset)


def ghost(clean: np.ndarray, head: np.ndarray, height: float) -> Faulty:
    """A faint copy, half a field of view aside, as of a wrong phase."""
    return Faulty((clean + height * np.roll(clean, clean.shape[1] // 2, 1)).astype(np.float32))


def wrapped(clean: np.ndarray, head: np.ndarray) -> Faulty:
    """A field of view too small: what lies behind it shows in front."""
    shown = np.flatnonzero(head.any(axis=(0, 2)))
    return Faulty(np.roll(clean, clean.shape[1] - shown[-1] + (shown[-1] - shown[0]) // 4, 1))


def both(first: Fault, second: Fault) -> Fault:
    """One fault after another, which loses single voxels at most."""

    def apply(clean: np.ndarray, head: np.ndarray) -> Faulty:
        one = first(clean, head)
        other = second(one.array, np.pad(head, one.width))
        return one._replace(array=other.array, width=one.width + other.width)

    return apply


def _bright(clean: np.ndarray, head: np.ndarray) -> float:
    return float(np.percentile(clean[head], 99.5) - np.median(clean[~head]))


# Where an exact copy of the clean result is expected, within the limits of the tests.
HARMLESS: dict[str, Fault] = {
    "one bright voxel": partial(strays, heights=(100.0,), count=1),
    "one dark voxel": partial(strays, heights=(-100.0,), count=1),
    "one huge voxel": partial(strays, heights=(1e6,), count=1),
    "one hugely dark voxel": partial(strays, heights=(-1e6,), count=1),
    "bright voxels": partial(strays, heights=(20.0,)),
    "dark voxels": partial(strays, heights=(-20.0,)),
    "voxels of both signs": partial(strays, heights=(50.0, -50.0)),
    "bright voxels in the head": partial(strays, heights=(20.0,), where="head"),
    "bright voxels in the air": partial(strays, heights=(1000.0,), where="air"),
    "dark voxels in the air": partial(strays, heights=(-1000.0,), where="air"),
    "voxels a little too bright": partial(strays, heights=(4.0,)),
    "a bright block": partial(block, height=20.0),
    "a thin rim of -1024": partial(rim, height=-1.0, width=1),
    "a rim of -1024": partial(rim, height=-1.0),
    "a rim of -1024 and bright voxels": both(partial(rim, height=-1.0), partial(strays, heights=(20.0,))),
    "padding with -1024": partial(pad, height=-1.0),
    "padding a little darker than air": partial(pad, height=-0.1),
    "bright padding": partial(pad, height=1.5),
    "gray padding": partial(pad, height=0.5),
    "padding in padding": nested,
    "a round field of view in -1024": partial(cylinder, height=-1.0),
    "a round field of view in white": partial(cylinder, height=2.0),
    "a gray slab at the border": partial(slab, axis=0, where=slice(0, 3), height=0.5),
    "a bright slab at the border": partial(slab, axis=1, where=slice(-3, None), height=2.0),
    "a dark slab at the border": partial(slab, axis=2, where=slice(0, 2), height=-1.0),
    "a gray slab near the border": partial(slab, axis=0, where=slice(1, 3), height=0.7),
    "z-scored": partial(z_scored, outside=None),
    "z-scored, 0 outside": partial(z_scored, outside=0.0),
    "z-scored, -10 outside": partial(z_scored, outside=-10.0),
    "z-scored, 10 outside": partial(z_scored, outside=10.0),
    "z-scored, 0 outside, stray voxels": both(partial(z_scored, outside=0.0), partial(strays, heights=(20.0, -20.0))),
    "z-scored, 0 outside, padding": both(partial(z_scored, outside=0.0), partial(pad, height=-3.0)),
    "other units": partial(linear, gain=3.0, offset=-1000.0),
    "small units": partial(linear, gain=1e-4, offset=0.0),
}

# Where the head's voxels themselves, or too many of them, are wrong: a doubt is what is expected.
DOUBTFUL: dict[str, Fault] = {
    "dark voxels in the head": partial(strays, heights=(-20.0,), where="head"),
    "a dark block": partial(block, height=-20.0),
    "a faint ghost": partial(ghost, height=0.1),
    "a ghost": partial(ghost, height=0.15),
    "wrapped around": wrapped,
    "a slab through the head": partial(slab, axis=2, where=slice(15, 18), height=0.7),
    "inverted": partial(linear, gain=-1.0, offset=0.0),
}
