"""What only a GPU can show: run with `pytest -m gpu`."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import mri_cyclegan.training.cyclegan as cyclegan_module
from mri_cyclegan.data.transforms import Preprocessing
from mri_cyclegan.evaluation.run_evaluation import Options, evaluate_runs
from mri_cyclegan.inference.model import load_model
from mri_cyclegan.inference.volume_translator import VolumeTranslator
from mri_cyclegan.train import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def test_a_run_uses_bf16_and_scores_near_the_cpu(tmp_path, compose_run, toy_overrides, toy_run):
    _, _, on_cpu = toy_run
    on_gpu = train(compose_run(tmp_path, *toy_overrides, "trainer=auto", "trainer.max_epochs=2"))
    for direction in ("ab", "ba"):
        difference = on_gpu["mean"]["CycleGAN"][direction]["psnr"] - on_cpu["mean"]["CycleGAN"][direction]["psnr"]
        assert abs(difference) < 1.0


def test_a_training_step_never_waits_for_the_device(tmp_path, compose_run, toy_overrides, monkeypatch):
    step = cyclegan_module.CycleGAN.training_step

    def watched(self, batch, batch_index):
        torch.cuda.set_sync_debug_mode("error")
        try:
            step(self, batch, batch_index)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(cyclegan_module.CycleGAN, "training_step", watched)
    # In the batches that are logged it does.
    words = ["trainer=auto", "trainer.max_epochs=1", "trainer.log_every_n_steps=50", "optimization.clip_gradients=1"]
    train(compose_run(tmp_path, *toy_overrides, *words))


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed", "32-true"])
def test_a_batch_that_is_not_finite_moves_no_weights(
    tmp_path, compose_run, toy_overrides, spoil_a_slice, caplog, precision
):
    words = ["trainer=auto", f"trainer.precision={precision}", f"data.cache_root={tmp_path}/cache", "evaluate=false"]
    config = compose_run(tmp_path / "run", *toy_overrides, *words, "trainer.limit_train_batches=1.0")
    volume, number = spoil_a_slice(config)
    train(config)
    assert f"{volume.scan.path.name} {number}" in caplog.text and "These steps are skipped" in caplog.text
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert all(value.isfinite().all() for value in state.values() if torch.is_tensor(value))


def test_the_largest_batch_that_the_device_holds_is_told(tmp_path, compose_run, toy_overrides):
    share = 3 * 2**30 / torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(share)
    words = ["trainer=auto", "data.batch_size=32", "data.image_size=256", "generator.base_channels=64"]
    try:
        with pytest.raises(ValueError, match=r"memory does not hold a training batch of 32 .*tried: \d+ fit\."):
            train(compose_run(tmp_path, *toy_overrides, *words, "evaluate=false"))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_an_evaluation_gives_the_numbers_of_the_cpu(toy_run, tmp_path):
    run_dir, _, _ = toy_run
    on_gpu, on_cpu = (
        evaluate_runs([run_dir], tmp_path / device, Options(device=device)).content["summary"]
        for device in ("cuda", "cpu")
    )
    for direction in ("ab", "ba"):
        for metric, tolerance in (("psnr", 0.02), ("ssim", 1e-3), ("ms_ssim", 1e-3)):
            found, expected = (one[direction]["CycleGAN"]["foreground"][metric]["mean"] for one in (on_gpu, on_cpu))
            assert found == pytest.approx(expected, abs=tolerance)


def test_a_translation_in_half_precision_is_nearly_that_of_the_cpu(toy_run):
    run_dir, _, _ = toy_run
    path = next(path for path in json.loads((run_dir / "split.json").read_text())["files"]["test"] if "T1w" in path)
    model = load_model(run_dir)
    on_gpu, on_cpu = (model.translate(path, device=device).get_fdata() for device in ("cuda", "cpu"))
    assert np.abs(on_gpu - on_cpu).mean() < 5e-4
    assert np.abs(on_gpu - on_cpu).max() < 0.02


def test_what_overflows_half_precision_is_computed_in_full():
    convolution = torch.nn.Conv2d(1, 1, 1, bias=False)
    convolution.weight.data.fill_(1e6)
    translator = VolumeTranslator({"ab": convolution}, Preprocessing("axial", 1.0, 8), device="cuda")
    fakes = translator.translate_slices(np.ones((1, 8, 8), np.float32), "ab")
    np.testing.assert_allclose(fakes, 1e6, rtol=1e-3)


@pytest.mark.parametrize("mode", ["true", "cuda_graphs"])
@pytest.mark.parametrize("words", [[], ["model.recompute=true"], ["+experiment=[demo,uvcgan]", "generator=unet_small"]])
def test_compiled_networks_train_as_eager_ones(tmp_path, compose_run, toy_overrides, mode, words):
    """In float32, where only the order of sums differs; uvcgan's gradient penalty runs eagerly."""
    losses = {}
    for compiled in (mode, "false"):
        toy = [word for word in toy_overrides if not (words and word == "+experiment=demo" and "uvcgan" in words[0])]
        exact = ["trainer=auto", "trainer.precision=32-true", "trainer.max_epochs=1", "generator.dropout=0"]
        run_dir = tmp_path / compiled
        train(compose_run(run_dir, *toy, *words, *exact, f"compile={compiled}", "evaluate=false"))
        with (run_dir / "metrics.csv").open() as file:
            rows = list(csv.DictReader(file))
        losses[compiled] = [float(row["loss/generators_step"]) for row in rows if row["loss/generators_step"]]
    assert len(losses["false"]) == 3
    assert losses[mode] == pytest.approx(losses["false"], rel=1e-2)


def test_slices_kept_by_the_gpu_are_those_read_from_disk(tmp_path, compose_run, toy_overrides):
    summaries = []
    for mode in ("true", "false"):
        exact = ["trainer=auto", "trainer.precision=32-true", "trainer.max_epochs=1", f"data.device_cache={mode}"]
        summaries.append(train(compose_run(tmp_path / mode, *toy_overrides, *exact)))
    for direction in ("ab", "ba"):
        kept, read = (summary["mean"]["CycleGAN"][direction]["psnr"] for summary in summaries)
        assert kept == pytest.approx(read, abs=0.05)


def test_the_benchmark_of_training_counts_kernels_and_memory(tmp_path):
    command = [sys.executable, "-m", "mri_cyclegan", "benchmark", "part=train", "train.num_steps=5"]
    command += ["train.num_rounds=1", "train.end_to_end=false", f"hydra.run.dir={tmp_path}"]
    subprocess.run(command, check=True, timeout=600)
    (of,) = json.loads((tmp_path / "train.json").read_text())["by_batch_size"]
    assert of["precision"] == "bf16-mixed" and of["compiled"] is True
    assert 0 < of["step_gpu_memory_bytes"]["ours"] < 2**34
    assert len(of["top_kernels"]) == 10
    assert of["times_naive"]["ours"] > 1
