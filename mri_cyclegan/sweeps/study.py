"""Studies of Optuna that go on where they stopped."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SQLITE = "sqlite:///"


def prepare_study(sweeper: Any, overrides: Sequence[str], retry_failed: bool) -> None:
    """Open or make the study of a sweep, and set how many trials are still to run.

    Args:
        sweeper: configuration of the sweeper; its ``n_trials`` is the total, and becomes what is left of it.
        overrides: of the command line, without those that vary. All trials of a study must have the same.
        retry_failed: whether to run failed and interrupted trials once more.

    Raises:
        ValueError: the study was made by another command.
    """
    import optuna

    storage = str(sweeper.storage)
    if storage.startswith(SQLITE):
        Path(storage.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=sweeper.study_name,
        storage=sweeper.storage,
        direction=str(getattr(sweeper.direction, "name", sweeper.direction)),
        load_if_exists=True,
    )
    command = sorted(overrides)
    if study.user_attrs.setdefault("command", command) != command:
        changed = sorted(set(command) ^ set(study.user_attrs["command"]))
        raise ValueError(
            f"hydra.sweeper.study_name: the trials of {sweeper.study_name!r} were run with other overrides "
            f"({', '.join(changed)}), and cannot be compared. Give another hydra.sweeper.study_name."
        )
    study.set_user_attr("command", command)
    if retry_failed:
        _enqueue_failed(study)
    retried = study.user_attrs.get("retried", [])
    done = [trial for trial in study.trials if trial.state.is_finished() and trial.number not in retried]
    sweeper.n_trials = max(0, sweeper.n_trials - len(done))
    print(f"Study {sweeper.study_name}: {len(done)} trials done, {sweeper.n_trials} to run.")


def _enqueue_failed(study: Any) -> None:
    """Have the parameters of failed and interrupted trials tried again, each once."""
    from optuna.exceptions import ExperimentalWarning
    from optuna.trial import TrialState

    retried = list(study.user_attrs.get("retried", []))
    for trial in study.trials:
        if trial.number in retried or trial.state not in (TrialState.FAIL, TrialState.RUNNING) or not trial.params:
            continue
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
        with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):  # of Optuna 2
            study.enqueue_trial(trial.params)
        retried.append(trial.number)
    study.set_user_attr("retried", retried)
