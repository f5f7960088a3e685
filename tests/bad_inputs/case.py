"""One doubtful data set and what should become of it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bad_inputs.heads import write, write_bids, write_folder, write_pictures

Outcome = Literal["refused", "warned", "accepted", "dropped"]
SOUND_DATA_SETS = {"folder": write_folder, "png": write_pictures, "bids": write_bids}


@dataclass(frozen=True)
class Case:
    """A sound data set with something doubtful in it.

    Attributes:
        name: the row of the specification, and which variant.
        make: puts what is doubtful at the path it is given.
        outcome: ``"refused"``: neither verified nor trained on; ``"warned"``: used, with a warning; ``"accepted"``:
            used, nothing to say; ``"dropped"``: left out with a warning.
        says: words of the message, cause and way out.
        doubtful: what the message should name, below the root of the data set.
        layout: of the data set.
        base: writes the sound scans; those of the layout if not given.
        options: as in ``data.*`` and, with hyphens, as verify's.
        train_options: as in ``data.*`` alone.
        detects: whether verify is left to find the layout out by itself.
        privileges: False where permission bits are to matter.
        like_sound: whether the slices equal those of the sound head, which the file shows in another way.
    """

    name: str
    make: Callable[[Path], object]
    outcome: Outcome
    says: tuple[str, ...] = ()
    doubtful: str = "T1w/sub-05_T1w.nii.gz"
    layout: str = "folder"
    base: Callable[[Path], object] | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    train_options: Mapping[str, object] = field(default_factory=dict)
    detects: bool = True
    privileges: bool = True
    like_sound: bool = False

    def __str__(self) -> str:
        return self.name

    def build(self, root: Path) -> Path:
        """Write the data set; returns the path of what is doubtful."""
        root.mkdir(parents=True)
        (self.base or SOUND_DATA_SETS[self.layout])(root)
        path = root / self.doubtful
        path.parent.mkdir(parents=True, exist_ok=True)
        self.make(path)
        return path

    def verify_words(self) -> list[str]:
        """Options of the command ``verify``."""
        words = [] if self.detects else ["--layout", self.layout]
        for name, value in self.options.items():
            # A list is one option for each of its values, in the singular.
            many = isinstance(value, list)
            option = f"--{(name.removesuffix('s') if many else name).replace('_', '-')}"
            words += [word for one in (value if many else [value]) for word in (option, str(one))]
        return words

    def train_words(self) -> list[str]:
        """Overrides of the command ``train``."""
        options = {**self.options, **self.train_options}
        if self.layout == "png":
            options |= {"spacing_mm": None, "names_identify_subjects": True}
        return [f"data={self.layout}", *(f"data.{name}={json.dumps(value)}" for name, value in options.items())]


def content(value: bytes) -> Callable[[Path], object]:
    """Makes a file of these bytes."""
    return lambda path: write(path, bytes(value))
