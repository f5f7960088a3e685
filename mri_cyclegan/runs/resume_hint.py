"""The overrides that resume a run or sweep."""

import shlex

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from mri_cyclegan.configuration.quoting import quote_value
from mri_cyclegan.configuration.schema import in_sweep


def resume_hint(config: DictConfig) -> str:
    """Message that says how to resume from the last good checkpoint, or to start anew if there is none.

    Args:
        config: run configuration.
    """
    overrides = ["resume=auto"] if config.get("ckpt_path") is None else ["resume=auto", "ckpt_path=null"]
    if not in_sweep():
        overrides.insert(0, f"hydra.run.dir={quote_value(config.run_dir)}")
    elif HydraConfig.get().sweeper._target_.endswith(".OptunaSweeper"):
        return "Repeat the command: it resumes the search after its finished trials."
    else:
        overrides.insert(0, f"hydra.sweep.dir={quote_value(HydraConfig.get().sweep.dir)}")
    return f"Resume with the same command and {shlex.join(overrides)}"
