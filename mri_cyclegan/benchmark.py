"""Measure speed: ``python -m mri_cyclegan.benchmark part=loader``."""

import logging
import sys
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf

from mri_cyclegan import config as run_config

log = logging.getLogger(__name__)

run_config.register()


def benchmark(config: DictConfig) -> dict[str, Any]:
    """Measure one part.

    Args:
        config: composed from ``conf/benchmark.yaml``.

    Returns:
        What the part's JSON file holds.

    Raises:
        ValueError: the part is unknown, or a setting does not fit it.
    """
    settings: Any = OmegaConf.to_container(config, resolve=True)
    part, output_dir = settings.pop("part"), Path(settings.pop("output_dir"))
    if part != "loader":
        raise ValueError(f"part: expected loader, got {part!r}.")
    from mri_cyclegan.benchmarks.loader import benchmark_loader

    return benchmark_loader(output_dir, **settings)


@hydra.main(version_base="1.3", config_path=str(run_config.CONF_DIR), config_name="benchmark")
def run(config: DictConfig) -> None:
    """One job of Hydra: a user's mistake ends in one message."""
    try:
        benchmark(config)
    except ValueError as error:
        log.error("%s", error)
        sys.exit(1)


def main() -> None:
    """Entry point."""
    try:
        run()
    except SystemExit as stop:
        run_config.tell_unknown_keys(stop, "benchmark")
        raise


if __name__ == "__main__":
    main()
