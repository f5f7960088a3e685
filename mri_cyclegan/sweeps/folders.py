"""Folders named after the time: one for each start, also for several of the same second."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from mri_cyclegan.configuration.quoting import quote_value
from mri_cyclegan.runs.run_folder import claim_new_folder, holds_run
from mri_cyclegan.sweeps.job_folders import job_folders

TIME = "${now:"


def claim_run_folder(config: DictConfig) -> None:
    """Make the run's folder, if its name is the time; one that was given by name may be there.

    Args:
        config: of a run, with Hydra's own part, which takes the folder.

    Raises:
        ValueError: it cannot be made.
    """
    if TIME in _written(config.hydra.run, "dir"):
        folder = claim_new_folder(Path(config.hydra.run.dir), "hydra.run.dir")
        with read_write(config):
            config.hydra.run.dir = str(folder)


def claim_sweep_folder(config: DictConfig) -> None:
    """Likewise the sweep's folder, or the first one below it that its jobs share.

    Args:
        config: of a sweep; as an override the folder reaches jobs on other machines too.

    Raises:
        ValueError: it cannot be made.
    """
    sweep = config.hydra.sweep
    first, _, rest = _written(sweep, "subdir").partition("/")
    with read_write(config), open_dict(config):
        if TIME in _written(sweep, "dir"):
            sweep.dir = str(claim_new_folder(Path(sweep.dir), "hydra.sweep.dir"))
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quote_value(sweep.dir)}")
        elif TIME in first and rest:
            shared = Path(OmegaConf.create({"name": first}).name)
            claimed = claim_new_folder(Path(sweep.dir) / shared, "hydra.sweep.subdir")
            # In quotes that leave the references of the rest as they are.
            config.hydra.overrides.hydra.append(f'hydra.sweep.subdir="{claimed.name}/{rest}"')


def require_new_sweep(config: DictConfig) -> None:
    """Refuse to start a sweep where another one lies.

    Raises:
        ValueError: the folder holds runs, and they are not to be resumed.
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
    """A value as it is written, with references."""
    return str(node._get_node(key)._value())  # type: ignore[union-attr]
