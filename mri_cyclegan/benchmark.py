"""Measure speed: ``python -m mri_cyclegan.benchmark part=train``."""

import importlib
import logging
import sys
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from mri_cyclegan.configuration.schema import CONF_DIR, register
from mri_cyclegan.configuration.suggestions import print_suggestions
from mri_cyclegan.runs.job_record import DeferredHydraOutput
from mri_cyclegan.runs.run_folder import holds_run
from mri_cyclegan.text import make_output_encodable

log = logging.getLogger(__name__)

register()


# Part to the module and function that measure it; each takes the settings below its name, and a folder to write to.
PARTS = {
    "train": ("mri_cyclegan.benchmarks.training", "benchmark_training"),
    "loader": ("mri_cyclegan.benchmarks.loader", "benchmark_loader"),
    "translate": ("mri_cyclegan.benchmarks.translation", "benchmark_translation"),
    "startup": ("mri_cyclegan.benchmarks.startup", "benchmark_startup"),
}


def benchmark(config: DictConfig) -> dict[str, Any]:
    """Measure one part, or all.

    Args:
        config: composed from ``conf/benchmark.yaml``.

    Returns:
        Part to what its JSON file holds.

    Raises:
        ValueError: the part is unknown, or a setting does not fit it.
    """
    settings: Any = OmegaConf.to_container(config, resolve=True)
    part = settings["part"]
    if part not in (*PARTS, "all"):
        raise ValueError(f"part: expected {', '.join(PARTS)} or all, got {part!r}.")
    results = {}
    for name in PARTS if part == "all" else (part,):
        module, function = PARTS[name]
        measure = getattr(importlib.import_module(module), function)
        results[name] = measure(Path(settings["output_dir"]), **settings[name])
    return results


@hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="benchmark")
def run(config: DictConfig) -> None:
    """One job of Hydra: a user's mistake ends in one message, and leaves earlier results as they were.

    ``.hydra`` and the log appear with the results, or at once where there are none yet.
    """
    folder = Path(config.output_dir)
    record = DeferredHydraOutput(folder, config)
    if not any(folder.glob("*.json")):
        record.write()
    try:
        if holds_run(folder):
            raise ValueError(f"output_dir: {folder} holds a training run. Give another folder.")
        benchmark(config)
    except ValueError as error:
        log.error("%s", error)
        sys.exit(1)
    record.write()


def main() -> None:
    """Entry point."""
    make_output_encodable()
    try:
        run()
    except SystemExit as stop:
        print_suggestions(stop, "benchmark")
        raise


if __name__ == "__main__":
    main()
