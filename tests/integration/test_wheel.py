"""The built wheel works outside the checkout, with its own copy of the configuration."""

import json
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import version
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def test_the_wheel_trains_from_a_fresh_environment(tmp_path, toy_overrides):
    def run(*command, **options):
        result = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300, **options)
        assert result.returncode == 0, result.stderr + result.stdout
        return result.stdout

    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "dist", cwd=CHECKOUT)
    (wheel,) = (tmp_path / "dist").glob("*.whl")

    # A fresh environment that borrows the dependencies, and only them: a path file is not read through another.
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    (site,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    run(
        sys.executable,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--no-deps",
        "--no-index",
        "--target",
        site,
        wheel,
    )

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    says = "import mri_cyclegan as m; print(m.__version__, open(m.__path__[0] + '/py.typed').name)"
    assert run(python, "-c", says, cwd=elsewhere).split() == [
        version("mri-cyclegan"),
        f"{site}/mri_cyclegan/py.typed",
    ]
    where = run(
        python, "-c", "import mri_cyclegan.configuration.schema as c; print(c.__file__, c.CONF_DIR)", cwd=elsewhere
    )
    assert where.split() == [f"{site}/mri_cyclegan/configuration/schema.py", f"{site}/mri_cyclegan/conf"]
    words = ["trainer.max_epochs=1", "trainer.limit_train_batches=1", f"run_dir={elsewhere}/run"]
    run(python, "-m", "mri_cyclegan.train", *toy_overrides, *words, cwd=elsewhere)
    assert json.loads((elsewhere / "run" / "summary.json").read_text())["num_epochs"] == 1
