"""Export a model to another format: checked against the model, and written completely or not at all."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mri_cyclegan.exporting.model_card import model_card
from mri_cyclegan.exporting.parity import OutputDifference
from mri_cyclegan.exporting.programs import write_programs
from mri_cyclegan.exporting.torch_program import load_torch_program, write_torch_program
from mri_cyclegan.exporting.usage import bundle_usage, onnx_usage, torch_export_usage
from mri_cyclegan.filesystem import PREFIX, atomic_folder, escapes
from mri_cyclegan.inference.model import PortableModel, load_model
from mri_cyclegan.inference.synthetic_image import NOTICE, PACKAGE

RECORD = "export.json"

# For outputs in [-1, 1]: far below one 8-bit step, far above the effect of a different summation order.
TOLERANCE = 1e-4

# Two programs with equally large rounding errors can differ by this multiple of the error.
ROUNDING_FACTOR = 3


@dataclass(frozen=True)
class Format:
    """An export format.

    Attributes:
        packages: packages to install beyond those of training, by their install names.
        write: fills an empty folder and returns, for each direction, how far the outputs of the written files are from
            the model's own.
        tolerance: largest accepted difference, unless :data:`ROUNDING_FACTOR` times the model's rounding is larger.
        card: path of the model card in the folder.
        library: library that reads the files, by its name on the Hugging Face hub.
        usage: returns the card's section on how to use the files.
    """

    packages: Sequence[str]
    write: Callable[[PortableModel, Path], Mapping[str, OutputDifference]]
    tolerance: float
    card: str
    library: str
    usage: Callable[[PortableModel], str]


def _write_onnx(model: PortableModel, folder: Path) -> Mapping[str, OutputDifference]:
    from mri_cyclegan.exporting.onnx_program import load_onnx, write_onnx

    return write_programs(model, folder, "onnx", write_onnx, load_onnx)


def _write_torch_export(model: PortableModel, folder: Path) -> Mapping[str, OutputDifference]:
    return write_programs(model, folder, "pt2", write_torch_program, load_torch_program)


def _write_monai_bundle(model: PortableModel, folder: Path) -> Mapping[str, OutputDifference]:
    from mri_cyclegan.exporting.bundle_check import check_bundle
    from mri_cyclegan.exporting.monai_bundle import write_bundle

    write_bundle(model, folder)
    return check_bundle(model, folder)


# Exported programs sum in another order than PyTorch's layers. A bundle runs the same code: no difference allowed.
FORMATS = {
    "onnx": Format(("onnx", "onnxruntime", "onnxscript"), _write_onnx, TOLERANCE, "MODEL_CARD.md", "onnx", onnx_usage),
    "torch_export": Format((), _write_torch_export, TOLERANCE, "MODEL_CARD.md", "pytorch", torch_export_usage),
    "monai_bundle": Format(
        ("pytorch-ignite", "fire", "jsonschema"), _write_monai_bundle, 0.0, "docs/README.md", "monai", bundle_usage
    ),
}


def export(source: Path, name: str, output: Path | None = None, overwrite: bool = False) -> tuple[Path, dict[str, Any]]:
    """Export a model to another format, with its card and a record of the check.

    Args:
        source: folder of a run or of a model.
        name: name of the format, one of :data:`FORMATS`.
        output: folder to create; None for ``export/<format>`` in ``source``.
        overwrite: whether to replace an earlier export there.

    Returns:
        The folder, and the content of its ``export.json``.

    Raises:
        ValueError: the model cannot be read, packages are missing, the folder is taken, or the written files do not
            reproduce the model's outputs.
    """
    kind = FORMATS[name]
    if output is None:
        output = source / "export" / name
        if escapes(output, source):
            raise ValueError(f"{output}: leads out of {source}. Remove that link, or give another folder as --output.")
    _require_free(output, overwrite)
    versions = _versions(name)
    model = load_model(source)
    with atomic_folder(output) as partial:
        differences = kind.write(model, partial)
        _require_parity(differences, name)
        (partial / kind.card).write_text(model_card(model, kind.library, kind.usage(model)), encoding="utf-8")
        record = {
            "format": name,
            "notice": NOTICE,
            "versions": versions,
            "weights_sha256": model.hashes,
            "tolerance": kind.tolerance,
            "max_abs_difference": {direction: parity.difference for direction, parity in differences.items()},
            "own_rounding": {direction: parity.rounding for direction, parity in differences.items()},
            "files_sha256": _hashes(partial),
        }
        (partial / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        _remove(output)
    return output, record


def _require_free(output: Path, overwrite: bool) -> None:
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not (output / RECORD).is_file():
        raise ValueError(f"{output}: exists and is no export, so it is never replaced. Give another --output.")
    if not overwrite:
        raise ValueError(f"{output}: holds an export already. Replace it with --overwrite, or give another --output.")


def _versions(name: str) -> dict[str, str]:
    """Versions of the packages that write and check the files; raise if one is missing."""
    found, missing = {}, []
    for package in (PACKAGE, "torch", "numpy", "monai", *FORMATS[name].packages):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        raise ValueError(f"--format {name} needs {', '.join(missing)}: pip install '{PACKAGE}[export]'.")
    return found


def _require_parity(differences: Mapping[str, OutputDifference], name: str) -> None:
    for direction, parity in differences.items():
        tolerance = max(FORMATS[name].tolerance, ROUNDING_FACTOR * parity.rounding)
        if not parity.difference <= tolerance:  # so that NaN fails too
            raise ValueError(
                f"--format {name}: direction {direction} differs from the model by {parity.difference:.2g}, at most "
                f"{tolerance:.2g} expected. Nothing was kept. Try other versions of its packages; report it as a bug."
            )


def _hashes(folder: Path) -> dict[str, str]:
    """Map the relative path of every file in a folder to its SHA-256."""
    hashes = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                hashes[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def _remove(folder: Path) -> None:
    """Move a folder aside in one rename, then delete it."""
    if folder.exists():
        aside = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder.parent))
        folder.rename(aside / folder.name)
        shutil.rmtree(aside)
