import json
from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from mri_cyclegan.configuration.schema import CONF_DIR, register
from mri_cyclegan.sweeps.job_folders import failed, job_folders
from mri_cyclegan.sweeps.jobs import objective, run_job


def train_that(raises=None, ssim=None):
    def train(config, accepted):
        if raises is not None:
            raise raises
        if ssim is not None:
            Path(config.run_dir, "validation.json").write_text(json.dumps({"ssim": ssim, "epoch": 3}))

    return train


@pytest.fixture
def config(tmp_path):
    return OmegaConf.create({"run_dir": str(tmp_path), "name": "demo"})


@pytest.mark.parametrize("in_sweep", [True, False])
def test_a_job_returns_its_validation(config, in_sweep):
    assert run_job(train_that(ssim=0.75), config, in_sweep) == 0.75


def test_a_job_without_pairs_has_no_objective(config):
    assert run_job(train_that(), config, in_sweep=True) is None


def test_a_users_mistake_ends_a_run_in_one_message(config, tmp_path, caplog):
    with pytest.raises(SystemExit) as stop:
        run_job(train_that(ValueError("data.root: no folder")), config, in_sweep=False)
    assert stop.value.code == 1
    assert "Traceback" in (tmp_path / "error.txt").read_text()
    assert "name: demo" in (tmp_path / "error.txt").read_text()
    assert f"data.root: no folder\n(details: {tmp_path}/error.txt)" in caplog.text


def test_what_nobody_foresaw_ends_a_run_as_it_is(config):
    with pytest.raises(RuntimeError, match="out of memory"):
        run_job(train_that(RuntimeError("out of memory")), config, in_sweep=False)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("data.root: no folder"), "data.root: no folder"),
        (RuntimeError("no memory"), "RuntimeError: no memory"),
    ],
)
def test_in_a_sweep_every_error_is_kept_and_the_others_go_on(config, tmp_path, error, reason):
    assert run_job(train_that(error), config, in_sweep=True) is None
    assert failed([tmp_path]) == {tmp_path: reason}


def test_who_interrupts_a_sweep_ends_it(config):
    with pytest.raises(KeyboardInterrupt):
        run_job(train_that(KeyboardInterrupt()), config, in_sweep=True)


@pytest.mark.parametrize("holds_run", [False, True])
def test_a_job_that_is_killed_at_once_is_listed_but_where_a_run_lies(config, tmp_path, monkeypatch, holds_run):
    register()
    loader = ConfigLoaderImpl(create_config_search_path(str(CONF_DIR)))
    composed = loader.load_configuration("train", ["seed=3"], run_mode=RunMode.MULTIRUN)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", OmegaConf.create({"hydra": composed.hydra}))
    if holds_run:
        (tmp_path / "metrics.csv").touch()
    with pytest.raises(KeyboardInterrupt):
        run_job(train_that(KeyboardInterrupt()), config, in_sweep=True)
    assert job_folders(tmp_path) == ([] if holds_run else [tmp_path])


def test_objectives_are_read_from_the_best_epoch(tmp_path):
    assert objective(tmp_path) is None
    (tmp_path / "validation.json").write_text('{"ssim": -0.5, "epoch": 1}')
    assert objective(tmp_path) == -0.5


def test_jobs_are_found_whether_or_not_they_came_to_training(tmp_path):
    for folder, files in {
        "a/0": [".hydra/overrides.yaml", ".hydra/config.yaml"],
        "a/1": [".hydra/overrides.yaml", ".hydra/config.yaml", "config.yaml", "summary.json"],
        "b": ["config.yaml"],
        "c": ["leaderboard.csv"],
    }.items():
        for file in files:
            (tmp_path / folder / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / file).write_text("")
    assert job_folders(tmp_path) == [tmp_path / "a/0", tmp_path / "a/1", tmp_path / "b"]
    assert list(failed(job_folders(tmp_path))) == [tmp_path / "a/0", tmp_path / "b"]


@pytest.mark.parametrize(("restarts", "resume"), [("1", "auto"), ("2", "auto"), ("0", None), (None, None)])
def test_a_job_that_slurm_starts_again_goes_on(tmp_path, monkeypatch, restarts, resume):
    if restarts is not None:
        monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
    seen = []
    config = OmegaConf.create({"run_dir": str(tmp_path), "ckpt_path": "other.ckpt", "resume": None})
    run_job(lambda config, accepted: seen.append((config.resume, config.ckpt_path)), config, in_sweep=True)
    assert seen == [(resume, None if resume else "other.ckpt")]
