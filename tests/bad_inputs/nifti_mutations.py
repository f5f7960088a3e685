"""Sound NIfTI files, and ways to spoil them by chance."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

import nibabel
import numpy as np
from bad_inputs.heads import packed
from bad_inputs.nifti_reference import FIELDS, MAGIC
from numpy.random import Generator

SHAPE = (7, 8, 6)
AFFINE = np.array([[-2.4, 0.4, 0, 8], [0.3, 2.6, -0.5, -9], [0.1, 0.5, 3.0, -7], [0, 0, 0, 1]])

SIZES = (0, 1, 2, 3, 5, 6, 7, 8, 12, 42, 255, 30_000, 32_767, -1, -7, -32_768)
NUMBERS = (0, -0.0, 1, -1, 2.5, 1e-30, 1e-3, 1e3, 1e6, 1e30, 3.4e38, -3.4e38, np.nan, np.inf, -np.inf)
CODES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304, -1, 999)


@dataclass(frozen=True)
class Base:
    """A sound file.

    Attributes:
        name: what is special about it.
        content: before it is packed.
        order: of bytes, struct's letter.
        is_packed: whether it is stored as ``.nii.gz``.
        volume_index: of a 4-D file, which volume to read.
    """

    name: str
    content: bytes
    order: str = "<"
    is_packed: bool = False
    volume_index: int | None = None

    @property
    def header_length(self) -> int:
        """348, or 540 in NIfTI-2."""
        return struct.unpack_from(f"{self.order}i", self.content)[0]

    def stored(self, content: bytes) -> bytes:
        """As it is written to disk."""
        return packed(content) if self.is_packed else bytes(content)

    def with_fields(self, **changes: dict[int, object]) -> bytearray:
        """With fields of the header overwritten: name to index to value, as far as the field can hold it."""
        changed = bytearray(self.content)
        for name, values in changes.items():
            offset, form = FIELDS[self.header_length][name]
            letter = form[-1]
            for index, value in values.items():
                if letter in "hiq":
                    bits = 8 * struct.calcsize(letter)
                    value = (int(value) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
                else:
                    value = float(np.float32(value)) if letter == "f" else float(value)
                struct.pack_into(self.order + letter, changed, offset + index * struct.calcsize(letter), value)
        return changed


def bases() -> list[Base]:
    """NIfTI-1 and NIfTI-2, both orders of bytes, several types, sform or qform or both, plain and packed."""
    random = np.random.default_rng(7)
    head = 200 * np.exp(-sum(axis**2 for axis in np.meshgrid(*[np.linspace(-2, 2, n) for n in SHAPE], indexing="ij")))
    plain = []
    for name, kind, order, dtype, forms, slope in (
        ("int16, scaled", nibabel.Nifti1Image, "<", "i2", (1, 1), (0.5, -3.0)),
        ("uint16, big-endian", nibabel.Nifti1Image, ">", "u2", (0, 2), None),
        ("float32, qform", nibabel.Nifti1Image, "<", "f4", (1, 0), None),
        ("float64, qform, big-endian", nibabel.Nifti1Image, ">", "f8", (3, 0), (2.0, 1.0)),
        ("int32, NIfTI-2", nibabel.Nifti2Image, "<", "i4", (1, 1), None),
        ("uint8, NIfTI-2, big-endian, qform", nibabel.Nifti2Image, ">", "u1", (2, 0), (0.25, 7.0)),
    ):
        array = (head + random.uniform(0, 9, SHAPE)).astype(dtype)
        image = kind(array, AFFINE, kind.header_class(endianness=order), dtype=array.dtype)
        image.set_qform(AFFINE, forms[0], strip_shears=True)
        image.set_sform(AFFINE, forms[1])
        base = Base(name, image.to_bytes(), order)
        content = base.content if slope is None else base.with_fields(scl=dict(enumerate(slope)))
        plain.append(Base(name, bytes(content), order))
    four_d = nibabel.Nifti1Image(np.stack([array, array + 1, array // 2], axis=-1), AFFINE, dtype=np.uint8)
    plain.append(Base("uint8, 4-D", four_d.to_bytes(), volume_index=1))
    return [
        Base(one.name, one.content, one.order, zipped, one.volume_index) for one in plain for zipped in (False, True)
    ]


def flip(content: bytes, random: Generator, start: int, end: int, most: int = 4) -> bytes:
    """Turn over one to ``most`` bits from byte ``start`` to byte ``end``."""
    changed = bytearray(content)
    for _ in range(random.integers(1, most + 1)):
        changed[random.integers(start, end)] ^= 1 << int(random.integers(8))
    return bytes(changed)


def unchanged(base: Base, random: Generator) -> bytes:
    return base.stored(base.content)


def header_bits(base: Base, random: Generator) -> bytes:
    return base.stored(flip(base.content, random, 0, base.header_length))


def voxel_bits(base: Base, random: Generator) -> bytes:
    return base.stored(flip(base.content, random, base.header_length + 4, len(base.content), most=16))


def packed_bits(base: Base, random: Generator) -> bytes:
    content = packed(base.content)
    return flip(content, random, 10, len(content) - 8)


def packed_header(base: Base, random: Generator) -> bytes:
    return flip(packed(base.content), random, 0, 10, most=2)


def packed_trailer(base: Base, random: Generator) -> bytes:
    content = packed(base.content)
    return flip(content, random, len(content) - 8, len(content), most=1)


def truncated(base: Base, random: Generator) -> bytes:
    content = base.stored(base.content)
    return content[: random.integers(len(content))]


def truncated_before_packing(base: Base, random: Generator) -> bytes:
    return base.stored(base.content[: random.integers(len(base.content))])


def extended(base: Base, random: Generator) -> bytes:
    more = bytes([int(random.integers(1, 256))]) + random.bytes(int(random.integers(64)))
    return base.stored(base.content) + more if random.random() < 0.5 else base.stored(base.content + more)


def dims(base: Base, random: Generator) -> bytes:
    indices = random.choice(8, random.integers(1, 4), replace=False)
    # The product of all may still be that of the file: then axes are merely exchanged.
    sizes = {int(index): random.choice([*SIZES, *SHAPE, *SHAPE]) for index in indices}
    return base.stored(base.with_fields(dim=sizes))


def offset(base: Base, random: Generator) -> bytes:
    near = base.header_length + random.integers(-8, 24)
    odd = [np.nan, np.inf] if base.header_length == 348 else []  # in NIfTI-2 it is an integer
    value = random.choice([near, near, near + 0.5, 0, 1e6, 2.0**31, -1, *odd])
    return base.stored(base.with_fields(vox_offset={0: value}))


def datatype(base: Base, random: Generator) -> bytes:
    bits = {0: random.choice([1, 8, 16, 24, 32, 64, 128])} if random.random() < 0.7 else {}
    return base.stored(base.with_fields(datatype={0: random.choice(CODES)}, bitpix=bits))


def scaling(base: Base, random: Generator) -> bytes:
    return base.stored(base.with_fields(scl={int(random.integers(2)): random.choice(NUMBERS)}))


def affine(base: Base, random: Generator) -> bytes:
    name, count = [("pixdim", 4), ("quatern", 6), ("srow", 12)][random.integers(3)]
    values = {int(random.integers(count)): random.choice([*NUMBERS, *random.normal(0, 1, 8)])}
    codes = {int(random.integers(2)): random.integers(-1, 6)} if random.random() < 0.5 else {}
    return base.stored(base.with_fields(**{name: values, "codes": codes}))


def magic(base: Base, random: Generator) -> bytes:
    changed = bytearray(base.content)
    start, wanted = MAGIC[base.header_length]
    if random.random() < 0.5:
        changed[start : start + len(wanted)] = random.permutation(list(wanted)).astype(np.uint8).tobytes()
    else:
        struct.pack_into(f"{random.choice(['<', '>'])}i", changed, 0, random.choice([348, 540, 0, 349, -1]))
    return base.stored(changed)


KINDS: dict[str, Callable[[Base, Generator], bytes]] = {
    function.__name__: function
    for function in (
        unchanged,
        header_bits,
        voxel_bits,
        packed_bits,
        packed_header,
        packed_trailer,
        truncated,
        truncated_before_packing,
        extended,
        dims,
        offset,
        datatype,
        scaling,
        affine,
        magic,
    )
}


def mutant(number: int, sound: list[Base]) -> tuple[str, Base, bytes]:
    """The kind of a numbered file, what it was made of, and its bytes."""
    kind = list(KINDS)[number % len(KINDS)]
    random = np.random.default_rng([11, number])
    choices = [base for base in sound if base.is_packed or not kind.startswith("packed")]
    base = choices[number // len(KINDS) % len(choices)]
    return kind, base, KINDS[kind](base, random)
