"""The commands as a user types them, each in a process of its own."""

import subprocess
import sys
import time


def run_train(*words, cwd, **options):
    command = [sys.executable, "-m", "mri_cyclegan.train", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, **options)


def wait_for(path):
    deadline = time.monotonic() + 120
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert path.exists()


def test_a_misspelled_key_ends_in_one_message_with_near_matches(tmp_path):
    result = run_train("+experiment=demo", "model.lambda_cyle=5", cwd=tmp_path)
    assert result.returncode == 1
    assert "Unknown key model.lambda_cyle. Did you mean model.lambda_cycle?" in result.stderr
    assert "Traceback" not in result.stderr + result.stdout


def test_a_typo_inside_an_experiment_file_is_refused(tmp_path):
    folder = tmp_path / "own" / "experiment"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("# @package _global_\nname: mine\nmodel:\n  lambda_cyle: 5\n")
    result = run_train("--config-dir", str(tmp_path / "own"), "+experiment=mine", cwd=tmp_path)
    assert result.returncode == 1
    assert "Unknown key model.lambda_cyle. Did you mean lambda_cycle" in result.stdout + result.stderr
    assert "Traceback" not in result.stderr + result.stdout


def test_a_missing_data_root_is_one_message(tmp_path):
    result = run_train("+experiment=demo", "data=bids", f"data.root={tmp_path}/nowhere", cwd=tmp_path)
    assert result.returncode == 1
    assert f"data.root: {tmp_path}/nowhere is not a folder" in result.stdout + result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    (details,) = tmp_path.glob("outputs/train/demo/*/error.txt")
    assert "Traceback" in details.read_text()


def test_a_missing_checkpoint_is_named(tmp_path, toy_overrides):
    result = run_train(*toy_overrides, "ckpt_path=nowhere.ckpt", cwd=tmp_path)
    assert result.returncode == 1
    assert "ckpt_path: nowhere.ckpt does not exist" in result.stdout + result.stderr


def test_the_script_and_the_module_are_the_same(tmp_path):
    listing = subprocess.run([sys.executable, "-m", "mri_cyclegan"], cwd=tmp_path, capture_output=True, text=True)
    assert listing.returncode == 0
    assert "train" in listing.stdout
    wrong = subprocess.run(
        [sys.executable, "-m", "mri_cyclegan", "tarin"], cwd=tmp_path, capture_output=True, text=True
    )
    assert wrong.returncode == 2
