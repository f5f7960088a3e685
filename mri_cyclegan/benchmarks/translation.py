"""Part ``translate``: time to translate a scan from file to file, compared with the network passes alone."""

import json
import math
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from mri_cyclegan.benchmarks.measurement import cpu_description, machine, median_and_range, summarize
from mri_cyclegan.configuration.build import build
from mri_cyclegan.configuration.checks import resolve_and_check
from mri_cyclegan.configuration.schema import compose_training
from mri_cyclegan.data.appearance import appearance, training_appearance
from mri_cyclegan.data.formats.nifti import write_volume
from mri_cyclegan.data.intensities import ScaledVolume
from mri_cyclegan.inference.devices import choose_device
from mri_cyclegan.inference.jobs import Job
from mri_cyclegan.inference.model import PortableModel, load_model, save_model
from mri_cyclegan.inference.scan_translator import ScanTranslator, read_scaled
from mri_cyclegan.inference.volume_translator import View, VolumeTranslator
from mri_cyclegan.inference.writer import OutputSettings, write_translation

# Parts in the order of a translation, with their labels in the table.
PARTS = {
    "reading": "reading and scaling",
    "preparing": "making batches",
    "network": "network",
    "finishing": "scan's grid and looks",
    "writing": "writing",
}

# Layers of the head, from the skin inwards: outer radius, intensity.
LAYERS = ((1.0, 320), (0.93, 50), (0.87, 120), (0.83, 450), (0.68, 700), (0.2, 100))


def benchmark_translation(
    output_dir: Path,
    shape: Sequence[int],
    generator: str,
    overrides: Sequence[str],
    device: str | None,
    repeats: int,
) -> dict[str, Any]:
    """Measure, write ``translate.json``, and print a table.

    The parts and the total are measured in the same translations. Memory is measured on a GPU only: in a process that
    has done other work, CPU memory does not show what a translation added.

    Args:
        output_dir: created if it does not exist.
        shape: shape of the scan, in voxels of 1 mm.
        generator: option of the config group ``generator``; its weights are random.
        overrides: training overrides that modify it.
        device: device to compute on; None is a GPU if there is one.
        repeats: measured translations, after one that is not measured.

    Returns:
        Content of ``translate.json``.

    Raises:
        ValueError: a setting cannot be measured.
    """
    if len(shape) != 3 or min(shape) < 8 or repeats < 1:
        given = f"{list(shape)} and {repeats}"
        raise ValueError(
            f"translate.shape, translate.repeats: expected three sizes from 8 and at least 1, got {given}."
        )
    chosen = choose_device(device)
    output_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output_dir) as name:
        folder = Path(name)
        scan = folder / "head_T1w.nii.gz"
        write_volume(scan, head(shape), np.eye(4))
        save_untrained(folder / "model", generator, overrides, read_scaled(scan)[0])
        model = load_model(folder / "model")
        job = Job(scan, scan.name, "ab", folder / "head_T2w.nii.gz")
        measured, peak_bytes = measure_translations(model, job, chosen, repeats)
    result = {
        "part": "translate",
        "settings": {
            "shape": list(shape),
            "generator": generator,
            "overrides": list(overrides),
            "image_size": model.preprocessing.image_size,
            "repeats": repeats,
        },
        "machine": machine(chosen),
        "seconds": {part: summarize([of[part] for of in measured]) for part in (*PARTS, "total")},
        "total_over_network": summarize([of["total"] / of["network"] for of in measured]),
        "peak_gpu_memory_bytes": peak_bytes,
    }
    (output_dir / "translate.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print_table(result, output_dir)
    return result


def head(shape: Sequence[int]) -> np.ndarray:
    """A head of nested ellipsoids with noise only inside, int16; compressing it takes as long as most real heads."""
    axes = [np.linspace(-1, 1, size, dtype=np.float32) for size in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    radius = np.sqrt((x / 0.75) ** 2 + (y / 0.9) ** 2 + (z / 0.85) ** 2)
    folded = radius + 0.06 * (1 - radius) * np.sin(40 * x) * np.sin(35 * y) * np.sin(30 * z)
    image = np.zeros(folded.shape, dtype=np.float32)
    for outer, intensity in LAYERS:
        image[folded < outer] = intensity
    image = ndimage.gaussian_filter(image, sigma=0.7)
    image += np.random.default_rng(0).normal(0, 12, image.shape)
    return np.where(radius < 1, image.clip(1), 0).round().astype(np.int16)


def save_untrained(folder: Path, generator: str, overrides: Sequence[str], scan: ScaledVolume) -> None:
    """Write a model with random weights for slices of the scan's size, as if it were trained on that scan.

    Args:
        folder: model folder.
        generator: option of the config group ``generator``.
        overrides: training overrides.
        scan: scan with voxels of 1 mm.

    Raises:
        ValueError: the generator does not exist, or does not fit its settings.
    """
    config = resolve_and_check(compose_training([f"generator={generator}", *overrides]))
    torch.manual_seed(0)
    network = build(config.generator)
    arguments = dict(config.generator.items())
    architecture = {"name": arguments.pop("_target_").rpartition(".")[2], "arguments": arguments}
    multiple = getattr(network, "size_multiple", 1)
    scans = {
        "num_subjects": 1,
        "voxel_sizes_mm": [[1.0, 1.0]] * 3,
        "intensity_low": scan.low,
        "intensity_high": scan.high,
        "appearance": training_appearance([appearance(scan)]),
    }
    description = {
        "code_version": version("mri-cyclegan"),
        "contrasts": {"a": "T1w", "b": "T2w"},
        "preprocessing": {
            "plane": "axial",
            "spacing_mm": 1.0,
            "image_size": math.ceil(max(scan.array.shape[:2]) / multiple) * multiple,
            "num_adjacent_slices": config.data.num_adjacent_slices,
        },
        "training": {
            "experiment": "benchmark",
            "seed": 0,
            "num_epochs": 0,
            "weights": "random",
            "layout": "bids",
            "a": scans,
            "b": scans,
        },
    }
    save_model(folder, dict.fromkeys(("ab", "ba"), network), dict.fromkeys(("ab", "ba"), architecture), description)


class StageTimer:
    """Seconds of each part of one translation; a part begins when the previous one ends.

    Attributes:
        seconds: seconds of each part that has ended.
        began: when the current part began.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.began = perf_counter()

    def end(self, part: str, network_s: float = 0.0) -> None:
        """End the current part now; ``network_s`` seconds of it count as the part ``network``."""
        now = perf_counter()
        self.seconds[part] = now - self.began - network_s
        if network_s:
            self.seconds["network"] = network_s
        self.began = now


class ClockedTranslator(VolumeTranslator):
    """A volume translator that reports the end of each part to a clock.

    Attributes:
        clock: clock of the current translation.
    """

    clock: StageTimer

    def __call__(self, scaled: ScaledVolume, direction: str, view: View | None = None) -> np.ndarray:
        """Translate as usual; the call marks the end of ``reading``."""
        self.clock.end("reading")
        return super().__call__(scaled, direction, view)

    def translate_slices(self, slices: np.ndarray, direction: str) -> np.ndarray:
        """Translate as usual, and end the part ``preparing``."""
        before_s = self.generator_s
        fakes = super().translate_slices(slices, direction)
        self.clock.end("preparing", self.generator_s - before_s)
        return fakes


def measure_translations(
    model: PortableModel, job: Job, device: torch.device, repeats: int
) -> tuple[list[dict[str, float]], int | None]:
    """Seconds of each part and ``total`` of each translation, and peak tensor memory on a GPU.

    The first translation is dropped; later ones read the scan from the operating system's file cache, not from disk.
    """
    settings = (model.networks, model.preprocessing, model.num_adjacent, device, model.slice_bytes)
    clocked = ClockedTranslator(*settings)
    translator = ScanTranslator([model], device=device)
    translator.translators = [clocked]
    measured = []
    for number in range(repeats + 1):
        if number == 1 and device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        clock = clocked.clock = StageTimer()
        start = clock.began
        translation = translator(job.source, job.direction)
        clock.end("finishing")
        write_translation(translation, job, OutputSettings(overwrite=True))
        clock.end("writing")
        measured.append({**clock.seconds, "total": clock.began - start})
    return measured[1:], torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None


def print_table(result: Mapping[str, Any], output_dir: Path) -> None:
    """Print the seconds of the parts, the ratio, and the path of the file."""
    settings, of_machine, seconds = result["settings"], result["machine"], result["seconds"]
    console = Console()
    size = settings["image_size"]
    table = Table(
        title=f"A scan of {'×'.join(map(str, settings['shape']))} through {settings['generator']}, {size}×{size}",
        caption=f"Median (smallest to largest) of {settings['repeats']} translations; {of_machine['device']}, "
        f"{cpu_description(of_machine)}.",
    )
    table.add_column("part")
    table.add_column("seconds", justify="right")
    table.add_column("times the network's", justify="right")
    for part, label in {**PARTS, "total": "file to file"}.items():
        times = seconds[part]["median"] / seconds["network"]["median"]
        table.add_row(label, median_and_range(seconds[part], 3), f"{times:.3f}", end_section=part == "writing")
    console.print(table)
    console.print(f"total / network   {median_and_range(result['total_over_network'], 3)}", highlight=False)
    if result["peak_gpu_memory_bytes"] is not None:
        console.print(f"GPU memory        {result['peak_gpu_memory_bytes'] / 2**20:.0f} MiB", highlight=False)
    console.print(f"numbers           {output_dir / 'translate.json'}", soft_wrap=True, highlight=False)
