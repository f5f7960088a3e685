from types import SimpleNamespace

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.utils import setup_globals
from hydra.types import RunMode

from mri_cyclegan.configuration.schema import CONF_DIR, keys_of_overrides, register
from mri_cyclegan.sweeps.callback import SweepCallback


@pytest.fixture
def loader():
    register()
    setup_globals()
    return ConfigLoaderImpl(create_config_search_path(str(CONF_DIR)))


@pytest.fixture
def started(loader, tmp_path, monkeypatch):
    """The configuration of a sweep as its jobs' are made from, after the callback."""
    monkeypatch.setattr("mri_cyclegan.sweeps.callback.atexit", SimpleNamespace(register=lambda function: None))

    def start(*words):
        words = [f"hydra.sweep.dir={tmp_path}/sweep", *words, "hydra.mode=MULTIRUN", "hydra.job.name=train"]
        config = loader.load_configuration("train", words, run_mode=RunMode.MULTIRUN)
        SweepCallback(retry_failed=False).on_multirun_start(config)
        return config

    return start


def dirname(loader, config, *words):
    return loader.load_sweep_config(config, list(words)).hydra.job.override_dirname


def test_words_are_told_apart_by_whether_they_vary():
    words = [
        "+experiment=demo",
        "~callbacks.bar",
        "a.b=1,2",
        "c=[1,2]",
        "d='x,y'",
        "e=range(3)",
        "generator@g=unet,resnet",
    ]
    assert [key for key, varies in keys_of_overrides(words).items() if varies] == ["a.b", "e", "generator"]


def test_labels_have_what_varies_on_the_command_line_and_nothing_else(started, loader):
    config = started("+experiment=demo", "model.cycle_weights=[2,1]", "model.lambda_cycle=5,10")
    words = ["+experiment=demo", "model.cycle_weights=[2,1]", "model.lambda_cycle=10"]
    assert dirname(loader, config, *words) == "model.lambda_cycle=10"


def test_labels_have_what_varies_by_the_sweeps_file(started, loader):
    config = started("+experiment=demo", "sweep=loss_weights", "model.lambda_identity=1")
    words = ["model.lambda_cycle=10", "model.lambda_identity=1", "+experiment=demo", "sweep=loss_weights"]
    assert dirname(loader, config, *words) == "model.lambda_cycle=10", "the command line fixed the other"
    config = started("+experiment=demo", "sweep=architecture", "seed=1,2")
    words = ["generator=resnet", "discriminator=pixel", "+experiment=demo", "sweep=architecture", "seed=2"]
    assert dirname(loader, config, *words) == "discriminator=pixel\ngenerator=resnet\nseed=2"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["trainer.devices=2"], "trainer.devices=2: with -m expected one device for each job"),
        (["+trainer.num_nodes=2"], "trainer.num_nodes=2: with -m expected"),
    ],
)
def test_a_sweep_of_several_devices_is_refused_before_its_first_job(started, capsys, words, message):
    with pytest.raises(SystemExit) as stop:
        started("+experiment=demo", "seed=1,2", *words)
    assert stop.value.code == 1
    assert message in capsys.readouterr().err


def test_jobs_on_the_gpus_of_a_host_without_one_are_refused(started, capsys, monkeypatch):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="needs the extra joblib")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(SystemExit):
        started("+experiment=demo", "seed=1,2", "hydra/launcher=gpus")
    assert "this host has no GPU" in capsys.readouterr().err
    monkeypatch.setattr("torch.cuda.device_count", lambda: 8)
    assert started("+experiment=demo", "seed=1,2", "hydra/launcher=gpus").hydra.launcher.n_jobs == 8


@pytest.mark.parametrize("words", [[], ["trainer.devices=auto"], ["trainer.devices=[3]"], ["trainer=cpu"]])
def test_workers_of_one_host_take_a_gpu_each(loader, tmp_path, monkeypatch, words):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="needs the extra joblib")
    taken = []
    monkeypatch.setattr("mri_cyclegan.sweeps.callback.take_gpu", lambda folder, count: taken.append((folder, count)))
    monkeypatch.setattr("mri_cyclegan.sweeps.callback.num_gpus", lambda: 2)
    for launcher, mode in (("basic", "MULTIRUN"), ("joblib", "RUN"), ("joblib", "MULTIRUN")):
        given = [f"hydra/launcher={launcher}", f"hydra.mode={mode}", f"hydra.sweep.dir={tmp_path}", "hydra.job.name=t"]
        config = loader.load_configuration("train", [*given, *words], run_mode=RunMode.RUN)
        SweepCallback(retry_failed=False).on_job_start(config)
    assert taken == ([(tmp_path, 2)] if words in ([], ["trainer.devices=auto"]) else [])


def test_a_folder_that_cannot_be_written_is_refused_in_one_message(loader, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    callback = SweepCallback(retry_failed=False)
    for key, start in (("hydra.run.dir", callback.on_run_start), ("hydra.sweep.dir", callback.on_multirun_start)):
        with pytest.raises(SystemExit):
            start(loader.load_configuration("train", [f"{key}={tmp_path}/file/run"], run_mode=RunMode.RUN))
        expected = f"{key}: {tmp_path}/file/run cannot be written (Not a directory). Give another folder, or make room."
        assert expected in capsys.readouterr().err


def test_a_sweep_is_not_one_run(loader, tmp_path, capsys):
    callback = SweepCallback(retry_failed=False)
    callback.on_run_start(loader.load_configuration("train", [f"hydra.run.dir={tmp_path}"], run_mode=RunMode.RUN))
    with pytest.raises(SystemExit) as stop:
        callback.on_run_start(loader.load_configuration("train", ["sweep=seeds"], run_mode=RunMode.RUN))
    assert stop.value.code == 1
    assert "sweep=seeds is many runs. Add -m" in capsys.readouterr().err


def test_two_sweeps_of_a_second_have_folders_of_their_own(started, loader, tmp_path):
    """So have their jobs, whose configuration is made from the sweep's, perhaps on another machine."""
    for name in ("one", "one_2"):
        config = started("+experiment=demo", "seed=1,2", f"hydra.sweep.dir={tmp_path}/${{now:one}}")
        job = loader.load_sweep_config(config, ["+experiment=demo", "seed=1"])
        assert config.hydra.sweep.dir == job.hydra.sweep.dir == f"{tmp_path}/{name}"
    for name in ("one", "one_2"):
        words = ["seed=1,2", f"hydra.sweep.dir={tmp_path}/study", "hydra.sweep.subdir=${now:one}/a-${seed}"]
        job = loader.load_sweep_config(started("+experiment=demo", *words), ["+experiment=demo", "seed=1"])
        assert job.hydra.sweep.subdir == f"{name}/a-1"
    callback = SweepCallback(retry_failed=False)
    for name in ("one", "one_2"):
        run = loader.load_configuration("train", [f"hydra.run.dir={tmp_path}/run/${{now:one}}"], run_mode=RunMode.RUN)
        callback.on_run_start(run)
        assert run.hydra.run.dir == f"{tmp_path}/run/{name}"
