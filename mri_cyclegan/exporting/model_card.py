"""The model card: what users of a model must know about it, from its ``model.json``.

Reference:
    Mitchell et al., "Model cards for model reporting", FAT* 2019; the front matter follows the Hugging Face hub.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from mri_cyclegan.data.intensities import PERCENTILES
from mri_cyclegan.data.transforms import PLANES
from mri_cyclegan.evaluation.audits.audit import legend
from mri_cyclegan.evaluation.protocol import METRICS
from mri_cyclegan.inference.description import EvaluationSummary, Range, TrainingScans, weights_name
from mri_cyclegan.inference.model import PortableModel
from mri_cyclegan.inference.synthetic_image import NOTICE, PACKAGE

SIDES = {"L": "left", "R": "right", "P": "posterior", "A": "anterior", "I": "inferior", "S": "superior"}
OPPOSITE = dict(zip("LRPAIS", "RLAPSI", strict=True))

# Likely licenses that the hub knows by name.
KNOWN_LICENSES = ("apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-sa-4.0")


def model_card(model: PortableModel, library: str, usage: str) -> str:
    """Return the model card as Markdown.

    Args:
        model: model to describe.
        library: library that reads the files, by its name on the Hugging Face hub.
        usage: section on how to use the files.
    """
    a, b = model.contrasts
    sections = {
        "What it does": _purpose(model),
        "Intended use and limits": _limits(model),
        "Preprocessing": _preprocessing(model),
        "Training": _training(model),
        "Results": _results(model),
        "How to use it": usage,
        "License": f"{escaped(model.description.license)}. The code that made it, {PACKAGE}: Apache License 2.0.",
        "Weights": _weights(model),
    }
    text = "\n\n".join(f"## {title}\n\n{content}" for title, content in sections.items())
    return f"{_front_matter(model, library)}\n# {escaped(a)} ↔ {escaped(b)}\n\n**{NOTICE}**\n\n{text}\n"


def _front_matter(model: PortableModel, library: str) -> str:
    stated = model.description.license.lower()
    known = stated in KNOWN_LICENSES
    content = {
        **({"license": stated} if known else {"license": "other", "license_name": "-".join(stated.split())}),
        "library_name": library,
        "pipeline_tag": "image-to-image",
        "tags": ["medical", "mri", "cyclegan", "synthetic", *model.contrasts],
    }
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}---\n"


def _purpose(model: PortableModel) -> str:
    rows = []
    for direction, generator in model.description.generators.items():
        source, target = _names(model, direction)
        millions = sum(parameter.numel() for parameter in model.networks[direction].parameters()) / 1e6
        arguments = ", ".join(f"{key} {value}" for key, value in generator.arguments.items())
        rows.append([f"`{direction}`", source, f"synthetic {target}", f"{generator.name}, {millions:.2f} M", arguments])
    table = _table(["direction", "from", "to", "network, parameters", "its arguments"], rows)
    reach = model.num_adjacent
    sees = f"each seen between its {reach} neighbors on either side" if reach else "one by one"
    return (
        "Two networks turn MRI of a head from one contrast into the other, trained as a CycleGAN: on scans that need "
        f"not be of the same people.\n\n{table}\n\n"
        f"They translate {model.preprocessing.plane} slices, {sees}; whole scans are translated slice by slice and put "
        "together on the scan's own grid."
    )


def _limits(model: PortableModel) -> str:
    limits = "\n".join(f"- {escaped(limit)}" for limit in model.description.limits)
    return f"{escaped(model.description.intended_use)}\n\n{limits}"


def _preprocessing(model: PortableModel) -> str:
    settings = model.preprocessing
    size = settings.image_size
    low, high = PERCENTILES
    spacing = f"{settings.spacing_mm:g} mm" if settings.spacing_mm else f"the longer side of the slice / {size}"
    slices, rows, columns = (f"{SIDES[OPPOSITE[code]]} to {SIDES[code]}" for code in PLANES[settings.plane])
    return "\n".join(
        [
            f"1. Intensities: the {low:g}th and {high:g}th percentile of the whole scan's foreground (the head) become "
            "-1 and 1; what lies beyond is clipped. Never slice by slice.",
            f"2. Orientation: {settings.plane} slices from {slices}, their rows from {rows}, columns from {columns}. "
            "There are as many slices as the scan has.",
            f"3. Pixel size: {spacing}. Linear resampling, where pixels become coarser after a Gaussian blur: full "
            "width at half maximum √(new² − old²).",
            f"4. Image size: the whole field of view, padded evenly with -1 to {size} × {size} or more. Training saw "
            f"{size} × {size} of it: around the center, moved as far as the head needs.",
            "5. Back: from [-1, 1] to [0, 1], linear resampling to the scan's own voxels; 0 outside the head in scans "
            "whose air is empty: where nine tenths of it are not brighter than the head's darkest.",
        ]
    )


def _training(model: PortableModel) -> str:
    training = model.description.training
    rows = [_scans_row(name, training.of(letter)) for letter, name in zip("ab", model.contrasts, strict=True)]
    header = ["contrast", "scans", "subjects", "voxels: left–right, back–front, up (mm)", "typical intensities"]
    return (
        f"Experiment `{escaped(training.experiment)}`, seed {training.seed}, {training.num_epochs} epochs; weights: "
        f"{escaped(training.weights)}. Data set layout: {escaped(training.layout)}.\n\n{_table(header, rows)}"
    )


def _scans_row(name: str, scans: TrainingScans) -> list[str]:
    sizes = " × ".join(_range(size) for size in scans.voxel_sizes_mm)
    intensities = f"{scans.intensity_low:.6g} to {scans.intensity_high:.6g}"
    return [name, str(scans.appearance.num_scans), str(scans.num_subjects), sizes, intensities]


def _range(size: Range) -> str:
    low, high = f"{size.low:.2f}", f"{size.high:.2f}"
    return low if low == high else f"{low}–{high}"


def _results(model: PortableModel) -> str:
    evaluation = model.description.evaluation
    if evaluation is None:
        return "It was not evaluated: how far it can be trusted is unknown."
    parts = [
        f"Measured on {escaped(evaluation.measured_on)}, in the foreground, by version {evaluation.protocol_version} "
        f"of {PACKAGE}'s evaluation protocol; trivial methods beside it, by the same code."
    ]
    for direction, means in evaluation.means.items():
        parts.append(f"{escaped(' → '.join(_names(model, direction)))}:\n\n{_means_table(means, evaluation.method)}")
    parts += ["\n".join(f"- {escaped(sentence)}" for sentence in evaluation.verdict)] if evaluation.verdict else []
    parts += [_audits(model, evaluation)] if evaluation.audits else []
    return "\n\n".join(parts)


def _means_table(means: dict[str, dict[str, float | None]], method: str) -> str:
    metrics = [name for name in METRICS if any(name in values for values in means.values())]
    header = [f"{METRICS[name].label} {METRICS[name].unit}".strip() for name in metrics]
    rows = [
        [
            f"**{escaped(name)}**" if name == method else name,
            *(_number(values.get(metric), metric) for metric in metrics),
        ]
        for name, values in means.items()
    ]
    return _table(["", *header], rows)


def _number(value: float | None, metric: str) -> str:
    return "–" if value is None else f"{value:.{METRICS[metric].digits}f}"


def _audits(model: PortableModel, evaluation: EvaluationSummary) -> str:
    rows = [
        [
            audit.name,
            " → ".join(_names(model, audit.direction)) if audit.direction else "both",
            audit.level,
            audit.figure,
        ]
        for audit in evaluation.audits
    ]
    return (
        f"Audits of what a good score hides ({legend()}):\n\n{_table(['audit', 'direction', 'level', 'figure'], rows)}"
    )


def _weights(model: PortableModel) -> str:
    rows = [[weights_name(direction), f"`{digest}`"] for direction, digest in model.hashes.items()]
    table = _table(["weights as trained", "SHA-256"], rows)
    return f"{table}\n\nTrained with {PACKAGE} {escaped(model.description.code_version)}."


def _names(model: PortableModel, direction: str) -> tuple[str, str]:
    a, b = model.contrasts
    return (a, b) if direction == "ab" else (b, a)


def _table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(escaped(cell) for cell in line)} |" for line in lines)


def escaped(text: str) -> str:
    """Escape untrusted text for Markdown: one line, no table cell separators, no HTML."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
