"""Schema of ``model.json``, the description of a trained model.

:func:`mri_cyclegan.inference.model.save_model` writes it. Every entry is validated when a model is loaded, because the
file may be untrusted.
"""

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from mri_cyclegan.data.appearance import NUMBERS
from mri_cyclegan.data.histograms import NUM_BINS
from mri_cyclegan.data.reading import LARGEST_INTENSITY
from mri_cyclegan.data.transforms import MAX_IMAGE_SIZE
from mri_cyclegan.directions import Direction

FORMAT_VERSION = 3
FILE_NAME = "model.json"
NOT_STATED = "not stated"
BEST_EPOCH = "best epoch on validation"
INTENDED_USE = "Research on image translation. Not for diagnostic use."
LIMITS = (
    "Synthetic images can lose and invent anatomy: lesions above all.",
    "Slices are translated one by one, or with a few neighbors: they can differ in brightness from one to the next.",
    "Scans unlike those trained on (scanner, sequence, age, disease, resolution) give outputs of unknown quality.",
    "Intensities are relative to the head's own range, so absolute values carry no physical unit.",
)

# Far above what any real model needs.
MAX_ARGUMENT = 1024
MAX_LIST = 32
MAX_ADJACENT_SLICES = 32

Words = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
# It may become a folder or part of a file name, so it has no path separators and does not consist of dots alone.
Name = Annotated[
    str,
    StringConstraints(
        pattern=r"^[^\x00-\x1f\x7f-\x9f/\\]*[^\x00-\x1f\x7f-\x9f/\\.][^\x00-\x1f\x7f-\x9f/\\]*$", max_length=100
    ),
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Number = Annotated[float, Field(ge=0)]
Intensity = Annotated[float, Field(ge=-LARGEST_INTENSITY, le=LARGEST_INTENSITY)]
Count = Annotated[int, Field(ge=0)]


def _plain_argument(value: Any, depth: int = 0) -> Any:
    """Validate a constructor argument: a plain value, or a list of them nested at most two levels deep."""
    if type(value) is list and depth < 2:
        if len(value) > MAX_LIST:
            raise ValueError(f"a list of {len(value)}, at most {MAX_LIST} expected")
        return [_plain_argument(item, depth + 1) for item in value]
    if type(value) is int and not 0 <= value <= MAX_ARGUMENT:
        raise ValueError(f"{value}, expected 0 to {MAX_ARGUMENT}")
    if not (value is None or type(value) in (bool, int, float, str)):
        raise ValueError(f"{type(value).__name__}, expected a number, text, true, false or null")
    return value


Argument = Annotated[Any, AfterValidator(_plain_argument)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


class Contrasts(_Part):
    """Names of contrasts a and b."""

    a: Name
    b: Name


class Generator(_Part):
    """A network and its weights file.

    Attributes:
        name: see :data:`mri_cyclegan.networks.registry.GENERATORS`.
        arguments: constructor arguments.
        weights: name of the weights file, in the folder of ``model.json``.
        sha256: hash of the weights file.
    """

    name: Name
    arguments: Annotated[dict[Name, Argument], Field(max_length=32)]
    weights: Name
    sha256: Sha256


class PreprocessingSettings(_Part):
    """Arguments of :class:`mri_cyclegan.data.transforms.Preprocessing`, and the number of adjacent slices."""

    plane: Literal["axial", "coronal", "sagittal"]
    spacing_mm: Annotated[float, Field(ge=0.01, le=100)] | None
    image_size: Annotated[int, Field(ge=8, le=MAX_IMAGE_SIZE)]
    num_adjacent_slices: Annotated[int, Field(ge=0, le=MAX_ADJACENT_SLICES)]


class Range(NamedTuple):
    """Smallest and largest value."""

    low: float
    high: float


class Appearance(_Part):
    """Appearance of the training scans of a contrast: :func:`mri_cyclegan.data.appearance.training_appearance`."""

    num_scans: Count
    histogram: Annotated[tuple[Number, ...], Field(min_length=NUM_BINS, max_length=NUM_BINS)]
    histogram_distance: Number
    ranges: dict[str, Range]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if abs(sum(self.histogram) - 1) > 0.01:
            raise ValueError("expected a histogram of shares that sum to 1")
        if set(self.ranges) != set(NUMBERS) or any(low > high for low, high in self.ranges.values()):
            raise ValueError(f"expected ranges, from low to high, of {', '.join(NUMBERS)}")
        return self


class TrainingScans(_Part):
    """The training scans of one contrast.

    Attributes:
        num_subjects: number of subjects.
        voxel_sizes_mm: smallest and largest voxel size along left–right, posterior–anterior and inferior–superior.
        intensity_low: median over the scans of the intensity, in the files' units, at the lower end of the scale.
        intensity_high: the same for the upper end.
        appearance: intensity histogram and ranges of image statistics.
    """

    num_subjects: Count
    voxel_sizes_mm: Annotated[tuple[Range, ...], Field(min_length=3, max_length=3)]
    intensity_low: Intensity
    intensity_high: Intensity
    appearance: Appearance

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.intensity_low < self.intensity_high:
            raise ValueError(f"intensities from {self.intensity_low} to {self.intensity_high}")
        return self


class Training(_Part):
    """How the model was trained.

    Attributes:
        experiment: name of the experiment.
        seed: random seed.
        num_epochs: number of epochs trained.
        weights: which weights were kept, as text.
        layout: layout of the data set.
        a: training scans of contrast a.
        b: training scans of contrast b.
    """

    experiment: Words
    seed: int
    num_epochs: Count
    weights: Words
    layout: Words
    a: TrainingScans
    b: TrainingScans

    @property
    def chose_epoch(self) -> bool:
        """Whether the kept weights are from the best epoch on the validation subjects."""
        return self.weights.startswith(BEST_EPOCH)

    def of(self, letter: str) -> TrainingScans:
        """Training scans of contrast ``"a"`` or ``"b"``."""
        return self.a if letter == "a" else self.b


class AuditResult(_Part):
    """Result of one audit."""

    name: Words
    # The key is "way" in files of every version.
    direction: Direction | None = Field(alias="way")
    level: Literal["green", "amber", "red", "unknown"]
    figure: Words


class EvaluationSummary(_Part):
    """Results of the model's evaluation.

    Attributes:
        protocol_version: version of the evaluation protocol.
        measured_on: evaluated subjects, as text.
        method: key of the model among the methods in ``means``.
        means: direction → method → metric → mean over subjects, in the foreground.
        audits: audit results.
        verdict: conclusions, one sentence each.
    """

    protocol_version: Count
    measured_on: Words
    method: Words
    means: dict[Direction, dict[Words, dict[Words, float | None]]]
    audits: Annotated[tuple[AuditResult, ...], Field(max_length=100)]
    verdict: Annotated[tuple[Words, ...], Field(max_length=100)]


class ModelDescription(_Part):
    """The content of ``model.json``.

    Attributes:
        format_version: version of this schema.
        code_version: version of this package that wrote the file.
        contrasts: names of a and b.
        generators: direction to network.
        preprocessing: settings applied to every volume.
        training: how the model was trained.
        evaluation: evaluation results; None if it was not evaluated.
        license: license of the model.
        intended_use: what the model is for.
        limits: known limitations.
    """

    format_version: Literal[3]
    code_version: Words
    contrasts: Contrasts
    generators: dict[Direction, Generator]
    preprocessing: PreprocessingSettings
    training: Training
    evaluation: EvaluationSummary | None = None
    license: Words = NOT_STATED
    intended_use: Words = INTENDED_USE
    limits: Annotated[tuple[Words, ...], Field(max_length=100)] = LIMITS

    @model_validator(mode="after")
    def _check(self) -> Self:
        if set(self.generators) != {"ab", "ba"}:
            raise ValueError("expected the generators ab and ba")
        for direction, generator in self.generators.items():
            # An untrusted description must not point to another file.
            if generator.weights != weights_name(direction):
                raise ValueError(f"weights of {direction} in {generator.weights!r}, expected {weights_name(direction)}")
        return self

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each direction's weights."""
        return {direction: generator.sha256 for direction, generator in self.generators.items()}

    def as_json(self) -> str:
        """Content of the file, as JSON text."""
        return self.model_dump_json(indent=2, by_alias=True) + "\n"


def weights_name(direction: str) -> str:
    """File name of a direction's weights."""
    return f"generator_{direction}.safetensors"
