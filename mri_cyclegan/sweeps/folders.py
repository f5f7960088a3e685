"""Folders named by start time: each start gets its own, even if several start in the same second."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from mri_cyclegan.configuration.quoting import quote_value
from mri_cyclegan.runs.run_folder import create_unique_folder, holds_run
from mri_cyclegan.sweeps.job_folders import job_folders

TIME = "${now:"


def claim_run_folder(config: DictConfig) -> None:
    """Create the run folder if its name contains the time; a folder given by name may already exist.

    Args:
        config: run configuration with its ``hydra`` node, in which ``run.dir`` is set to the folder.

    Raises:
        ValueError: the folder cannot be created.
    """
    if TIME in _written(config.hydra.run, "dir"):
        folder = create_unique_folder(Path(config.hydra.run.dir), "hydra.run.dir")
        with read_write(config):
            config.hydra.run.dir = str(folder)


def claim_sweep_folder(config: DictConfig) -> None:
    """Create the sweep folder, or the first folder below it that its jobs share, if its name contains the time.

    Args:
        config: sweep configuration; the folder is added as an override, which also reaches jobs on other machines.

    Raises:
        ValueError: the folder cannot be created.
    """
    sweep = config.hydra.sweep
    first, _, rest = _written(sweep, "subdir").partition("/")
    with read_write(config), open_dict(config):
        if TIME in _written(sweep, "dir"):
            sweep.dir = str(create_unique_folder(Path(sweep.dir), "hydra.sweep.dir"))
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quote_value(sweep.dir)}")
        elif TIME in first and rest:
            shared = Path(OmegaConf.create({"name": first}).name)
            claimed = create_unique_folder(Path(sweep.dir) / shared, "hydra.sweep.subdir")
            # Double quotes keep the interpolations in the rest.
            config.hydra.overrides.hydra.append(f'hydra.sweep.subdir="{claimed.name}/{rest}"')


def require_new_sweep(config: DictConfig) -> None:
    """Reject a new sweep in the folder of another one.

    Raises:
        ValueError: the folder holds runs and ``resume`` is not set.
    """
    folder = Path(config.hydra.sweep.dir)
    if config.get("resume") is None and TIME not in _written(config.hydra.sweep, "subdir"):
        for job in job_folders(folder):
            if holds_run(job):
                raise ValueError(
                    f"hydra.sweep.dir: {folder} holds runs already, such as {job.name}. Give another folder, or resume "
                    "them: resume=auto."
                )


def _written(node: DictConfig, key: str) -> str:
    """A value as written, with its interpolations."""
    return str(node._get_node(key)._value())  # type: ignore[union-attr]
