"""Results of a run: metrics, the model, and a table on the screen."""

import json
import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import TensorBoardLogger
from rich.console import Console

from mri_cyclegan.data.appearance import training_appearance
from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.datamodule import MRIDataModule
from mri_cyclegan.data.volume import voxel_sizes_mm
from mri_cyclegan.directions import DIRECTIONS
from mri_cyclegan.evaluation.model_summary import entries_with_metrics, foreground_means, measured_on, summary_for_model
from mri_cyclegan.evaluation.protocol import METRICS, WHY_TRAINING_METRICS_DIFFER
from mri_cyclegan.evaluation.results import Evaluation
from mri_cyclegan.evaluation.run_evaluation import Options, evaluate_runs
from mri_cyclegan.evaluation.summary_table import print_evaluation
from mri_cyclegan.filesystem import atomic_write_text
from mri_cyclegan.inference.description import NOT_STATED
from mri_cyclegan.inference.model import architecture, save_evaluation, save_model
from mri_cyclegan.training.tensorboard_events import TensorBoardEvents

log = logging.getLogger(__name__)


def report(
    run_dir: Path,
    config: DictConfig,
    trainer: pl.Trainer,
    model: Any,
    datamodule: MRIDataModule,
    weights: str,
    training_s: float,
) -> dict[str, Any]:
    """Save the trained model, evaluate it by the protocol, write ``summary.json`` and print where the files are.

    Args:
        run_dir: run folder.
        config: run configuration.
        trainer: after ``fit``.
        model: the trained :class:`mri_cyclegan.training.cyclegan.CycleGAN`.
        datamodule: what it was trained on.
        weights: which weights the model has, as a phrase for messages.
        training_s: seconds that ``fit`` took, including validation and pictures.

    Returns:
        Content of ``summary.json``.
    """
    _save_portable(run_dir / "model", config, model, datamodule, weights, trainer.current_epoch)
    summary: dict[str, Any] = {
        "experiment": config.name,
        "seed": config.seed,
        "num_epochs": trainer.current_epoch,
        "weights": weights,
        "training_s": round(training_s, 1),
        "mean": {},
    }
    start_s = perf_counter()
    evaluation = None
    try:
        evaluation = _evaluate(run_dir, config, datamodule)
        if evaluation is not None:
            evaluation.write(run_dir / "evaluation")
            save_evaluation(run_dir / "model", summary_for_model(evaluation.content))
    except (ValueError, OSError) as error:
        log.warning("The model is trained and saved, but could not be evaluated: %s", error)
        evaluation = None
    if evaluation is not None:
        summary |= _summarize(evaluation.content)
        summary["evaluation_s"] = round(perf_counter() - start_s, 1)
        _log_final_metrics(trainer, config, evaluation.content)
    atomic_write_text(run_dir / "summary.json", json.dumps(summary, indent=2) + "\n")
    # Print last: if printing fails, everything is already on disk.
    if evaluation is not None:
        print_evaluation(evaluation.content, run_dir / "evaluation")
        if datamodule.val_pairs:
            Console().print(WHY_TRAINING_METRICS_DIFFER, style="dim", soft_wrap=True, highlight=False)
    print_result_locations(run_dir, weights)
    return summary


def _evaluate(run_dir: Path, config: DictConfig, datamodule: MRIDataModule) -> Evaluation | None:
    """Evaluate on test subjects, else on validation subjects; skip unfit ones rather than fail a finished training."""
    assert datamodule.split is not None
    if not config.evaluate or not (datamodule.split.test or datamodule.split.val):
        return None
    return evaluate_runs([run_dir], run_dir / "evaluation", Options(skip_unfit=True))


def _summarize(content: Mapping[str, Any]) -> dict[str, Any]:
    """Foreground metrics as method → direction → metric → mean, and → values of all subjects that have pairs."""
    means = foreground_means(content)
    paired = entries_with_metrics(content)
    methods = content["methods"] if means else []
    return {
        "protocol_version": content["protocol_version"],
        "measured_on": measured_on(content),
        "verdict": content["verdict"],
        "mean": {
            method: {direction: of_direction[method] for direction, of_direction in means.items()} for method in methods
        },
        "subjects": [subject["subject"] for subject in paired],
        "per_subject": {
            method: {
                direction: {
                    metric: [subject["ways"][direction]["metrics"][method]["foreground"][metric] for subject in paired]
                    for metric in METRICS
                }
                for direction in means
            }
            for method in methods
        },
    }


def _save_portable(
    folder: Path, config: DictConfig, model: Any, datamodule: MRIDataModule, weights: str, num_epochs: int
) -> None:
    architectures = {}
    for direction in DIRECTIONS:
        node: Any = OmegaConf.to_container(config.model[f"generator_{direction}"], resolve=True)
        architectures[direction] = architecture(node.pop("_target_"), node)
    slices = datamodule.train_slices
    description = {
        "code_version": version("mri-cyclegan"),
        "contrasts": dict(zip("ab", datamodule.contrasts, strict=True)),
        "preprocessing": {
            **asdict(datamodule.preprocessing),
            "num_adjacent_slices": datamodule.num_adjacent_slices,
        },
        "training": {
            "experiment": config.name,
            "seed": config.seed,
            "num_epochs": num_epochs,
            "weights": weights,
            "layout": config.data.layout,
            "a": _training_scans(slices.volumes_a),
            "b": _training_scans(slices.volumes_b),
        },
        "license": config.license or NOT_STATED,
    }
    save_model(folder, {"ab": model.translator_ab, "ba": model.translator_ba}, architectures, description)


def _training_scans(volumes: Sequence[CachedVolume]) -> dict[str, Any]:
    """See :class:`mri_cyclegan.inference.description.TrainingScans`."""
    records = [volume.record for volume in volumes]
    sizes = np.array([voxel_sizes_mm(np.array(record["source_affine"])) for record in records])
    return {
        "num_subjects": len({volume.scan.subject for volume in volumes}),
        "voxel_sizes_mm": [[float(of_axis.min()), float(of_axis.max())] for of_axis in sizes.T],
        "intensity_low": float(np.median([record["intensity_low"] for record in records])),
        "intensity_high": float(np.median([record["intensity_high"] for record in records])),
        "appearance": training_appearance([record["appearance"] for record in records]),
    }


def print_result_locations(run_dir: Path, weights: str) -> None:
    """Print which weights were kept, and where the run's files are."""
    console = Console()
    console.print(f"{'weights':<12}{weights}")
    for label, path in (
        ("pictures", run_dir / "samples"),
        ("curves", run_dir / "progress.png"),
        ("model", run_dir / "model"),
    ):
        console.print(f"{label:<12}{path}", soft_wrap=True, highlight=False)
    if (run_dir / "tensorboard").is_dir():
        command = shlex.join([sys.executable, "-m", "tensorboard.main", "--logdir", str(run_dir)])
        console.print(f"{'TensorBoard':<12}{command}", soft_wrap=True, highlight=False)


def _log_final_metrics(trainer: pl.Trainer, config: DictConfig, content: Mapping[str, Any]) -> None:
    """Log the final metrics with the hyperparameters, so that TensorBoard can sort the runs of a sweep by them."""
    parts = ("seed", "data", "generator", "discriminator", "optimization", "model", "trainer")
    settings: Any = OmegaConf.to_container(OmegaConf.masked_copy(config, list(parts)), resolve=True)
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardEvents):
            logger.open()
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(dict(_flatten(settings, "")), final_metrics(content))
            logger.finalize("success")


def final_metrics(content: Mapping[str, Any]) -> dict[str, float]:
    """Scalars of an evaluation, ``final/…``: foreground means per direction, and metrics that need no pairs."""
    found = {}
    for direction, of_direction in content["summary"].items():
        for metric, values in of_direction.get(content["method"], {}).get("foreground", {}).items():
            found[f"final/{metric}_{direction}"] = values["mean"]
    for direction, values in content["unpaired"].items():
        found[f"final/wasserstein_{direction}"] = values["wasserstein"]
        found[f"final/spectrum_distance_{direction}"] = values["spectrum_distance"]
        if values["subject_matching"] is not None:
            found[f"final/subject_matching_{direction}"] = values["subject_matching"]["accuracy"]
    return found


def _flatten(settings: dict, prefix: str) -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in settings.items():
        if isinstance(value, dict):
            flat += _flatten(value, f"{prefix}{key}.")
        elif key != "_target_":
            flat.append((f"{prefix}{key}", value if isinstance(value, int | float | str | bool) else str(value)))
    return flat
