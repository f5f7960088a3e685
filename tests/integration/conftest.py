import subprocess
import sys

import pytest
from hydra import compose, initialize_config_dir
from typer.testing import CliRunner

from mri_cyclegan.configuration.schema import CONF_DIR, register

# The demo at toy size: 8 mm voxels, a handful of channels, three batches an epoch.
TOY = [
    "+experiment=demo",
    "trainer=cpu",
    "trainer.max_epochs=2",
    "trainer.limit_train_batches=3",
    "trainer.log_every_n_steps=1",
    "data.spacing_mm=8",
    "data.image_size=32",
    "data.batch_size=2",
    "data.num_workers=0",
    "generator.base_channels=4",
    "generator.depth=3",
    "generator.dropout=0.5",
    "model.lambda_identity=1",
    "discriminator.base_channels=4",
    "discriminator.num_layers=1",
]
TOY_PHANTOM = [
    "data.phantom.spacing_mm=8",
    "data.phantom.num_train=4",
    "data.phantom.num_val=2",
    "data.phantom.num_test=2",
]


@pytest.fixture(scope="session")
def phantom_root(tmp_path_factory):
    """Where the toy phantom is kept between tests."""
    return tmp_path_factory.mktemp("phantom")


@pytest.fixture(scope="session")
def toy_overrides(phantom_root):
    """Command-line words of a toy run on the phantom."""
    return [*TOY, *TOY_PHANTOM, f"data.root={phantom_root}", f"data.cache_root={phantom_root}/cache"]


@pytest.fixture(scope="session")
def compose_run():
    """Compose a run's configuration as the command line would."""

    def compose_with(run_dir, *overrides):
        register()
        with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            return compose("train", overrides=[f"run_dir={run_dir}", *overrides])

    return compose_with


@pytest.fixture(scope="session")
def toy_run(tmp_path_factory, compose_run, toy_overrides):
    """A finished toy run: its folder, configuration and summary."""
    from mri_cyclegan.train import train

    run_dir = tmp_path_factory.mktemp("run")
    config = compose_run(run_dir, *toy_overrides)
    return run_dir, config, train(config)


@pytest.fixture(scope="session")
def run_benchmark():
    """The benchmark as a user types it, in a folder."""

    def run(*words, cwd):
        command = [sys.executable, "-m", "mri_cyclegan", "benchmark", *words]
        return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=500)

    return run


@pytest.fixture(scope="session")
def spoil_a_slice():
    """Put a NaN into a prepared slice of contrast a that trains: its volume and number."""
    import numpy as np

    from mri_cyclegan.configuration.build import build

    def spoil(config):
        data = build(config.data)
        data.prepare_data()
        data.setup()
        volume, number = data.train_slices.volumes_a[0], int(data.train_slices.slices_a[0][1])
        slices = volume.slices
        slices[number, 5, 5] = np.nan
        np.save(volume.folder / "slices.npy", slices)
        return volume, number

    return spoil


@pytest.fixture
def run_app(monkeypatch):
    """Run a command line in this process: its exit status and what it printed."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(app, *words):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.output
        return result.exit_code, result.output

    return run
