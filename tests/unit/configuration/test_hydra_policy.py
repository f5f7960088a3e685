"""What Hydra acts on before a job starts, given by a stranger's experiment."""

import subprocess
import sys

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException

from mri_cyclegan.configuration.schema import CONF_DIR, register


def composed(folder, text, *words, **settings):
    (folder / "experiment").mkdir()
    (folder / "experiment" / "stranger.yaml").write_text(f"# @package _global_\n{text}\n")
    register()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        overrides = ["+experiment=stranger", f"hydra.searchpath=[file://{folder}]", *words]
        return compose("train", overrides=overrides, **settings)


@pytest.mark.parametrize(
    "text",
    [
        "hydra: {callbacks: {evil: {_target_: torch.load, f: evil.pt, weights_only: false}}}",
        "hydra: {callbacks: {evil: {_target_: pathlib.Path.unlink, _args_: [x]}}}",
        "hydra: {callbacks: {evil: {_target_: mri_cyclegan.sweeps.callback.shutil.rmtree, path: x}}}",
        "hydra: {callbacks: {evil: {_target_: hydra._internal.core_plugins.basic_launcher.os.system, command: x}}}",
        "hydra: {callbacks: {evil: {_target_: mri_cyclegan.sweeps.callback.SweepCallback, x: {_target_: a.b}}}}",
        "hydra: {callbacks: {evil: {_target_: mri_cyclegan.sweeps.callback.SweepCallback, x: [[{_target_: a.b}]]}}}",
        "data: {evil: {_target_: torch.load}}\nhydra: {callbacks: {evil: '${data.evil}'}}",
        "hydra: {callbacks: {evil: '${data}'}}",
        "hydra: {callbacks: {evil: '${hydra:job.num}'}}",
        "hydra: {callbacks: {evil: {_target_: '${name}'}}}",
        "hydra: {callbacks: {evil: {_target_: 'mri_cyclegan.sweeps.callback.${name}'}}}",
        "hydra: {callbacks: {evil: '${oc.create:{_target_: os.system}}'}}",
        "hydra: {callbacks: {sweep: {retry_failed: {_target_: torch.hub.load}}}}",
        "hydra: {launcher: {n_jobs: 1, pre_dispatch: '${oc.create:{_target_: os.system}}'}}",
        "hydra: {sweeper: {params: '${oc.create:{x: {_target_: os.system}}}'}}",
        "hydra: {sweeper: {_target_: os.system}}",
        "hydra: {job_logging: {formatters: {evil: {'()': os.system, command: x}}}}",
        "hydra: {job_logging: {formatters: {evil: {class: os.system}}}}",
        "hydra: {job_logging: {handlers: {evil: {class: logging.handlers.HTTPHandler, host: a, url: b}}}}",
        "hydra: {job_logging: {handlers: {console: {stream: 'ext://evil.stdout'}}}}",
        "hydra: {job_logging: {filters: {evil: {'()': subprocess.run}}}}",
        "hydra: {hydra_logging: {formatters: {evil: {'()': os.system, command: x}}}}",
        "hydra: {hydra_logging: {handlers: {console: {class: '${name}'}}}}",
        "hydra: {job: {env_set: {LD_PRELOAD: evil.so}}}",
        "hydra: {job: {env_set: {PATH: here}}, overrides: {hydra: ['hydra.job.env_set.PATH=here']}}",
        "hydra: {sweeper: {params: {+hydra.job.env_set.PATH: here}}}",
        "hydra: {job_logging: {handlers: {file: {filename: /home/me/.bashrc}}}}",
        "hydra: {job_logging: {handlers: {file: {filename: '${hydra.runtime.output_dir}/../../.bashrc'}}}}",
        "hydra: {job: {name: ../../.bashrc}}",
        "hydra: {output_subdir: ../../.config}",
    ],
)
def test_it_builds_and_runs_nothing(tmp_path, text):
    words = ["hydra/launcher=joblib"] if "launcher" in text else []
    with pytest.raises(ConfigCompositionException, match=r"may not be|expected|command line alone"):
        composed(tmp_path, text, *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hydra: {sweeper: {custom_search_space: evil.function}}", ["hydra/sweeper=optuna"]),
        ('hydra: {launcher: {partition: "x\\ntouch hurt"}}', ["hydra/launcher=submitit_slurm"]),
        ('hydra: {launcher: {additional_parameters: {"x\\ntouch hurt": 1}}}', ["hydra/launcher=submitit_slurm"]),
        ("hydra: {job: {env_set: {LD_PRELOAD: evil.so}}}", ["+hydra.job.env_set.OMP_NUM_THREADS=1"]),
    ],
)
def test_nor_where_a_plugin_or_a_typed_word_helps(tmp_path, text, words):
    with pytest.raises(ConfigCompositionException, match=r"command line alone|expected one line"):
        composed(tmp_path, text, *words)


def test_what_was_checked_does_not_change_its_meaning(tmp_path):
    text = """
data: {t: {none: x, "0": {"()": torch.load}}}
hydra: {job_logging: {formatters: {evil: "${oc.select:data.t.${oc.select:hydra.job.num,none},x}"}}}
"""
    config = composed(tmp_path, text, return_hydra_config=True)
    config.hydra.job.num = 0
    assert config.hydra.job_logging.formatters.evil == "x"


def test_commands_of_slurm_jobs_are_typed_or_not_there(tmp_path):
    text = "hydra: {launcher: {setup: ['touch hurt']}}"
    with pytest.raises(ConfigCompositionException, match=r"hydra\.launcher\.setup: may be given on the command line"):
        composed(tmp_path, text, "hydra/launcher=submitit_slurm")


@pytest.mark.parametrize(
    "words",
    [
        ["hydra/launcher=slurm", "hydra.launcher.setup=[module load cuda]"],
        ["hydra/launcher=gpus"],
        ["hydra/launcher=submitit_local"],
        ["sweep=optuna"],
        ["sweep=loss_weights", "hydra/job_logging=disabled"],
        ["+hydra.job.env_set.OMP_NUM_THREADS=1"],
        ["hydra/sweeper/sampler=random", "hydra/sweeper=optuna"],
        ["hydra.job_logging.handlers.file.filename='${hydra.runtime.output_dir}/${hydra.job.name}'"],
        ["hydra.job_logging.handlers.file.filename=/var/log/mine.log"],
    ],
)
def test_what_users_choose_is_composed(tmp_path, words):
    assert composed(tmp_path, "seed: 3", *words).seed == 3


def test_the_command_refuses_it_in_one_message(tmp_path):
    marker = tmp_path / "hurt"
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "stranger.yaml").write_text(
        f"# @package _global_\nhydra: {{callbacks: {{evil: {{_target_: pathlib.Path.touch, self: {marker}}}}}}}\n"
    )
    command = [sys.executable, "-m", "mri_cyclegan.train", "--config-dir", str(tmp_path), "+experiment=stranger"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "hydra.callbacks.evil._target_: pathlib.Path.touch may not be built from a configuration." in done.stderr
    assert "Traceback" not in done.stderr
    assert not marker.exists()
