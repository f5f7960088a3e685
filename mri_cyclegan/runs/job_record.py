"""Delays what Hydra would write into a job's folder before the job starts: ``.hydra/`` and the log file."""

import logging
from logging.handlers import MemoryHandler
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from mri_cyclegan.filesystem import atomic_write_text, escapes

FOLDER = ".hydra"

# Buffer size above the number of lines that a start logs, and a flush level above every log level.
NUM_LINES, NEVER = 100_000, logging.CRITICAL + 1


class DeferredHydraOutput:
    """Holds back ``.hydra/`` and log lines until the job is accepted: a rejected job must not change an existing run.

    Hydra is configured to write neither (``hydra.output_subdir: null``, and log files that are opened late).

    Args:
        folder: run folder.
        config: job configuration, as Hydra composed it.

    Attributes:
        is_written: whether both are written, and other files may be written too.
    """

    def __init__(self, folder: Path, config: DictConfig) -> None:
        self.folder = folder
        self.texts = _texts(config) if HydraConfig.initialized() else {}
        self.is_written = False
        self.held = _buffer_log_files()

    def write(self) -> None:
        """Write what was held back, once.

        Raises:
            ValueError: ``.hydra`` is a link that leads out of the run folder.
        """
        if self.is_written:
            return
        if escapes(self.folder / FOLDER, self.folder):
            raise ValueError(f"run_dir: {self.folder / FOLDER} leads out of it. Remove that link.")
        self.is_written = True
        for name, text in self.texts.items():
            (self.folder / FOLDER).mkdir(parents=True, exist_ok=True)
            atomic_write_text(self.folder / FOLDER / name, text)
        for holding, file in self.held:
            holding.setTarget(file)
            logging.getLogger().removeHandler(holding)
            holding.close()  # flushes its lines to the file
            logging.getLogger().addHandler(file)


def _texts(config: DictConfig) -> dict[str, str]:
    hydra_config: Any = HydraConfig.instance().cfg
    nodes = {
        "config.yaml": config,
        "hydra.yaml": hydra_config,
        "overrides.yaml": hydra_config.hydra.overrides.task,
    }
    return {name: OmegaConf.to_yaml(node) for name, node in nodes.items()}


def _buffer_log_files() -> list[tuple[MemoryHandler, logging.FileHandler]]:
    """Buffer lines for log files that are not open yet in memory."""
    root, held = logging.getLogger(), []
    for handler in list(root.handlers):
        if isinstance(handler, logging.FileHandler) and handler.delay and handler.stream is None:
            holding = MemoryHandler(NUM_LINES, NEVER)
            root.removeHandler(handler)
            root.addHandler(holding)
            held.append((holding, handler))
    return held
