"""Resumable Optuna studies."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SQLITE = "sqlite:///"


def prepare_study(sweeper: Any, overrides: Sequence[str], retry_failed: bool) -> None:
    """Open or create the study of a sweep, and set how many trials are still to run.

    Args:
        sweeper: sweeper configuration; its ``n_trials`` is the total and is set to the number still to run.
        overrides: command-line overrides that do not vary. They must be the same for all trials of a study.
        retry_failed: whether to rerun failed and interrupted trials once.

    Raises:
        ValueError: the study was created with other overrides.
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
    """Enqueue the parameters of failed and interrupted trials again, each once."""
    from optuna.exceptions import ExperimentalWarning
    from optuna.trial import TrialState

    retried = list(study.user_attrs.get("retried", []))
    for trial in study.trials:
        if trial.number in retried or trial.state not in (TrialState.FAIL, TrialState.RUNNING) or not trial.params:
            continue
        if trial.state == TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
        with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):  # raised by Optuna 2
            study.enqueue_trial(trial.params)
        retried.append(trial.number)
    study.set_user_attr("retried", retried)
