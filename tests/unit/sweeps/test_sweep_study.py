from types import SimpleNamespace

import pytest

optuna = pytest.importorskip("optuna", reason="needs the extra optuna")

from mri_cyclegan.sweeps.study import prepare_study  # noqa: E402

COMPLETE, FAIL = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL


@pytest.fixture
def storage(tmp_path):
    return f"sqlite:///{tmp_path}/made/optuna.db"


def prepare(storage, n_trials, words=("+experiment=demo",), retry_failed=False):
    """How many trials are left to run, and the study."""
    sweeper = SimpleNamespace(storage=storage, study_name="one", direction="maximize", n_trials=n_trials)
    prepare_study(sweeper, words, retry_failed)
    return sweeper.n_trials, optuna.load_study(study_name="one", storage=storage)


def run_trial(study, value):
    trial = study.ask()
    x = trial.suggest_float("x", 0, 1)
    study.tell(trial, value, state=COMPLETE if value is not None else FAIL)
    return x


def test_a_study_goes_on_up_to_its_total(storage):
    left, study = prepare(storage, 3)
    assert (left, study.direction.name) == (3, "MAXIMIZE")
    run_trial(study, 0.5)
    run_trial(study, None)
    assert prepare(storage, 3)[0] == 1, "a failed trial is one of them"
    assert prepare(storage, 1)[0] == 0


def test_an_interrupted_trial_is_not_one_of_them(storage):
    prepare(storage, 3)[1].ask()
    assert prepare(storage, 3)[0] == 3


def test_failed_and_interrupted_trials_are_tried_once_more_on_request(storage):
    _, study = prepare(storage, 4)
    run_trial(study, 0.5)
    failed_x = run_trial(study, None)
    interrupted_x = study.ask().suggest_float("x", 0, 1)
    left, study = prepare(storage, 4, retry_failed=True)
    assert left == 3
    assert [run_trial(study, 0.1), run_trial(study, None)] == [failed_x, interrupted_x]
    left, study = prepare(storage, 4)
    assert left == 1
    assert run_trial(study, 0.1) not in (failed_x, interrupted_x)
    assert study.best_value == 0.5
    left, study = prepare(storage, 4, retry_failed=True)
    assert left == 1
    assert run_trial(study, 0.1) == interrupted_x, "what failed again may be tried again; the others are done"
    assert prepare(storage, 4, retry_failed=True)[0] == 0


def test_another_command_is_refused_since_its_trials_cannot_be_compared(storage):
    prepare(storage, 3, ["+experiment=demo", "seed=1"])
    prepare(storage, 3, ["seed=1", "+experiment=demo"])
    with pytest.raises(ValueError, match=r"hydra\.sweeper\.study_name.*'one'.*\(seed=1, seed=2\).*Give another"):
        prepare(storage, 3, ["+experiment=demo", "seed=2"])
