"""What a run leaves behind: resolved configuration, environment, metrics, the model, and a table on the screen."""

import json
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import TensorBoardLogger

from mri_cyclegan.data.cached_volume import CachedVolume
from mri_cyclegan.data.datamodule import MRIDataModule
from mri_cyclegan.data.findings import Finding
from mri_cyclegan.evaluation.baselines import trivial_baselines
from mri_cyclegan.evaluation.protocol import DIRECTIONS, PROTOCOL_VERSION, Scores, mean_over_subjects, measure
from mri_cyclegan.evaluation.summary_table import print_summary
from mri_cyclegan.inference.portable import save_model

PACKAGES = ("mri-cyclegan", "torch", "pytorch-lightning", "monai", "hydra-core", "numpy", "nibabel")


def start(run_dir: Path, config: DictConfig) -> None:
    """Write ``config.yaml`` and ``environment.json`` before anything else happens.

    Raises:
        ValueError: the folder holds a run already, perhaps one started in the same second.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    try:
        with (run_dir / "config.yaml").open("x", encoding="utf-8") as file:
            file.write(OmegaConf.to_yaml(config, resolve=True))
    except FileExistsError as error:
        raise ValueError(f"run_dir: {run_dir} holds a run already. Start again, or give another run_dir.") from error
    environment = {
        "command": shlex.join(sys.argv),
        "seed": config.seed,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "num_threads": torch.get_num_threads(),
        "versions": {name: version(name) for name in PACKAGES},
    }
    (run_dir / "environment.json").write_text(json.dumps(environment, indent=2) + "\n", encoding="utf-8")


def save_findings(run_dir: Path, findings: Sequence[Finding]) -> None:
    """Write ``findings.json``, where there are any: what was doubtful about the scans, and which were left out."""
    if findings:
        content = [finding.as_json() for finding in sorted(findings)]
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (run_dir / "findings.json").write_text(text, encoding="utf-8")


def log_configuration(trainer: pl.Trainer, config: DictConfig) -> None:
    """Put the resolved configuration into TensorBoard as text."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_text("config", "```yaml\n" + OmegaConf.to_yaml(config, resolve=True) + "\n```")


def report(
    run_dir: Path,
    config: DictConfig,
    trainer: pl.Trainer,
    model: Any,
    datamodule: MRIDataModule,
    weights: str,
    training_s: float,
) -> dict[str, Any]:
    """Measure the trained model, save it, write ``summary.json`` and print the table.

    Args:
        run_dir: folder of the run.
        config: of the run.
        trainer: after ``fit``.
        model: the trained :class:`mri_cyclegan.training.cyclegan.CycleGAN`.
        datamodule: what it was trained on.
        weights: which weights it holds, in words.
        training_s: seconds that ``fit`` took, validation and pictures included.

    Returns:
        What ``summary.json`` holds.
    """
    part, scores = _score(trainer, model, datamodule)
    summary: dict[str, Any] = {
        "experiment": config.name,
        "seed": config.seed,
        "num_epochs": trainer.current_epoch,
        "weights": weights,
        "protocol_version": PROTOCOL_VERSION,
        "measured_on": part,
        "mean": mean_over_subjects(scores),
        "per_subject": scores,
        "training_s": round(training_s, 1),
    }
    (run_dir / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    _save_portable(run_dir / "model", config, model, datamodule, summary)
    _log_final_metrics(trainer, config, summary["mean"])
    print_summary(run_dir, datamodule.contrasts, summary)
    return summary


def _score(trainer: pl.Trainer, model: Any, datamodule: MRIDataModule) -> tuple[str, Scores]:
    part = "test" if datamodule.test_pairs else "validation"
    pairs: list[tuple[CachedVolume, CachedVolume]] = datamodule.test_pairs or datamodule.val_pairs
    if not pairs:
        return "nothing: no pairs", {}
    device = trainer.strategy.root_device
    model.to(device).eval()
    slices = datamodule.train_slices
    methods = {
        "CycleGAN": {"ab": model.translator_ab, "ba": model.translator_ba},
        **trivial_baselines(slices.volumes_a, slices.volumes_b),
    }
    batches = datamodule.test_dataloader() if part == "test" else datamodule.val_dataloader()
    return f"{len(pairs)} {part} subjects", measure(methods, batches, len(pairs), device)


def _save_portable(folder: Path, config: DictConfig, model: Any, datamodule: MRIDataModule, summary: dict) -> None:
    architectures = {}
    for way in DIRECTIONS:
        arguments: Any = OmegaConf.to_container(config.model[f"generator_{way}"], resolve=True)
        architectures[way] = {"name": arguments.pop("_target_").rpartition(".")[2], "arguments": arguments}
    description = {
        "contrasts": dict(zip("ab", datamodule.contrasts, strict=True)),
        "preprocessing": {
            **asdict(datamodule.preprocessing),
            "num_adjacent_slices": datamodule.num_adjacent_slices,
        },
        "results": {key: summary[key] for key in ("protocol_version", "measured_on", "mean", "weights")},
        "code_version": version("mri-cyclegan"),
    }
    save_model(folder, {"ab": model.translator_ab, "ba": model.translator_ba}, architectures, description)


def _log_final_metrics(trainer: pl.Trainer, config: DictConfig, means: dict) -> None:
    metrics = {
        f"final/{metric}_{way}": value
        for way, by_metric in means.get("CycleGAN", {}).items()
        for metric, value in by_metric.items()
    }
    parts = ("seed", "data", "generator", "discriminator", "model", "trainer")
    settings: Any = OmegaConf.to_container(OmegaConf.masked_copy(config, list(parts)), resolve=True)
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.log_hyperparams(dict(_flatten(settings, "")), metrics)
            logger.finalize("success")


def _flatten(settings: dict, prefix: str) -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in settings.items():
        if isinstance(value, dict):
            flat += _flatten(value, f"{prefix}{key}.")
        elif key != "_target_":
            flat.append((f"{prefix}{key}", value if isinstance(value, int | float | str | bool) else str(value)))
    return flat
