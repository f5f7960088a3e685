"""Train: ``python -m mri_cyclegan.train +experiment=demo``."""

import signal
import sys

import hydra
from omegaconf import DictConfig

from mri_cyclegan import distributed
from mri_cyclegan.configuration.schema import CONF_DIR, in_sweep, register
from mri_cyclegan.configuration.suggestions import print_suggestions
from mri_cyclegan.runs.training_run import train
from mri_cyclegan.sweeps.jobs import run_job
from mri_cyclegan.text import make_output_encodable

register()


@hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name="train")
def run(config: DictConfig) -> float | None:
    """One job of Hydra."""
    return run_job(train, config, in_sweep())


def main() -> None:
    """Entry point."""
    make_output_encodable()
    with distributed.rank_overrides() as overrides:
        try:
            sys.argv += overrides
            run()
        except KeyboardInterrupt:  # before training handles the signal, or a second one
            sys.exit(128 + signal.SIGINT)
        except SystemExit as stop:
            if distributed.is_rank_zero():
                print_suggestions(stop)
            raise


if __name__ == "__main__":
    main()
