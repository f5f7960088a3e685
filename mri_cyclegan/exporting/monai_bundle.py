"""Export a model as a MONAI bundle, which translates whole scans with ``python -m monai.bundle run``.

The bundle needs this package: it runs the same steps as evaluation and translation, so it writes the same files.

Reference:
    MONAI Bundle Specification, https://docs.monai.io/en/latest/mb_specification.html.
"""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mri_cyclegan.directions import DIRECTIONS
from mri_cyclegan.evaluation.protocol import METRICS
from mri_cyclegan.exporting.parity import size_multiple
from mri_cyclegan.inference.description import FILE_NAME, EvaluationSummary, weights_name
from mri_cyclegan.inference.model import PortableModel
from mri_cyclegan.inference.synthetic_image import NOTICE, PACKAGE

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
STEPS = "mri_cyclegan.exporting.bundle_steps"

INFERENCE: dict[str, Any] = {
    "bundle_root": ".",
    "dataset_dir": "$@bundle_root + '/scans'",
    "output_dir": "$@bundle_root + '/translations'",
    "direction": "ab",
    "value_range": "unit",
    "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
    "model": {"_target_": "mri_cyclegan.inference.model.load_model", "folder": "$@bundle_root + '/models'"},
    "network_def": "$@model.networks[@direction]",
    "network": "$@network_def.to(@device)",
    "preprocessing": {
        "_target_": "Compose",
        "transforms": [{"_target_": f"{STEPS}.PrepareScan", "model": "@model"}],
    },
    "datalist": {
        "_target_": f"{STEPS}.datalist",
        "model": "@model",
        "direction": "@direction",
        "dataset_dir": "@dataset_dir",
        "output_dir": "@output_dir",
    },
    "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
    "dataloader": {
        "_target_": "DataLoader",
        "dataset": "@dataset",
        "batch_size": 1,
        "shuffle": False,
        "num_workers": 0,
    },
    "inferer": {"_target_": f"{STEPS}.VolumeInferer", "model": "@model"},
    "postprocessing": {
        "_target_": "Compose",
        "transforms": [
            {
                "_target_": f"{STEPS}.SaveTranslation",
                "model": "@model",
                "direction": "@direction",
                "value_range": "@value_range",
            }
        ],
    },
    "handlers": [{"_target_": "StatsHandler", "iteration_log": False}],
    "evaluator": {
        "_target_": "SupervisedEvaluator",
        "device": "@device",
        "val_data_loader": "@dataloader",
        "network": "@network",
        "inferer": "@inferer",
        "postprocessing": "@postprocessing",
        "val_handlers": "@handlers",
    },
    "run": ["$@evaluator.run()"],
}


def write_bundle(model: PortableModel, folder: Path) -> None:
    """Fill an empty folder with the bundle, except for the model card in ``docs/``."""
    for part in ("configs", "models", "docs"):
        (folder / part).mkdir()
    for name, content in (("metadata", metadata(model)), ("inference", INFERENCE)):
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (folder / "configs" / f"{name}.json").write_text(text, encoding="utf-8")
    for name in (FILE_NAME, *map(weights_name, DIRECTIONS)):
        shutil.copyfile(model.folder / name, folder / "models" / name)
    (folder / "LICENSE").write_text(_license(model), encoding="utf-8")


def metadata(model: PortableModel) -> dict[str, Any]:
    """Content of ``configs/metadata.json``.

    MONAI evaluates values that begin with ``$`` and resolves ``@`` and ``%`` references, so no value begins with text
    from the model, which may be untrusted.
    """
    description = model.description
    a, b = model.contrasts
    return {
        "schema": SCHEMA,
        "version": "1.0.0",
        "changelog": {"1.0.0": f"exported by {PACKAGE} {version(PACKAGE)}"},
        "monai_version": version("monai"),
        "pytorch_version": version("torch"),
        "numpy_version": version("numpy"),
        "required_packages_version": {name: version(name) for name in (PACKAGE, "nibabel", "pytorch-ignite")},
        "supported_apps": {},
        "name": f"CycleGAN of {a} and {b}",
        "task": f"Translation of {a} into {b} and back",
        "description": f"CycleGAN trained on unpaired {a} and {b} scans: direction ab makes {b} of {a}, ba the reverse",
        "authors": "not stated",
        "copyright": f"License of the model: {description.license}",
        "data_source": f"the data set that the model was trained on, layout {description.training.layout}",
        "data_type": "nibabel",
        "image_classes": f"real {a} (direction ab) or {b} (direction ba)",
        "pred_classes": f"synthetic {b} (direction ab) or {a} (direction ba)",
        "eval_metrics": {} if description.evaluation is None else _metrics(description.evaluation),
        "intended_use": f"{NOTICE} {description.intended_use}",
        "references": [
            "Zhu et al., Unpaired image-to-image translation using cycle-consistent adversarial networks, 2017"
        ],
        "network_data_format": _network_data_format(model),
    }


def _metrics(evaluation: EvaluationSummary) -> dict[str, dict[str, float | None]]:
    """Mean metrics of the model itself, per direction."""
    of_model = {
        direction: of_direction.get(evaluation.method, {}) for direction, of_direction in evaluation.means.items()
    }
    return {
        direction: {name: means[name] for name in METRICS if name in means} for direction, means in of_model.items()
    }


def _network_data_format(model: PortableModel) -> dict[str, Any]:
    multiple = max(size_multiple(model, direction) for direction in DIRECTIONS)
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": "MR",
        "spatial_shape": [f"{multiple}*n", f"{multiple}*n"],
        "dtype": "float32",
        "value_range": [-1, 1],
        "is_patch_data": False,
    }
    reach = model.num_adjacent
    neighbors = {str(reach + step): f"slice {step:+d}" if step else "the slice" for step in range(-reach, reach + 1)}
    return {
        "inputs": {"image": {**image, "num_channels": 2 * reach + 1, "channel_def": neighbors}},
        "outputs": {"pred": {**image, "num_channels": 1, "channel_def": {"0": "the slice, synthetic"}}},
    }


def _license(model: PortableModel) -> str:
    return (
        f"License of the model (models/): {model.description.license}\n\n"
        f"What runs it, {PACKAGE}, is no part of this bundle and stands under the Apache License 2.0.\n\n{NOTICE}\n"
    )
