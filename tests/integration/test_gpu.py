"""What only a GPU can show: run with `pytest -m gpu`."""

import json

import numpy as np
import pytest
import torch

import mri_cyclegan.training.cyclegan as cyclegan_module
from mri_cyclegan.data.transforms import Preprocessing
from mri_cyclegan.evaluation.run_evaluation import Options, evaluate_runs
from mri_cyclegan.inference.portable import load_model
from mri_cyclegan.inference.volume_translator import VolumeTranslator
from mri_cyclegan.train import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def test_a_run_uses_bf16_and_scores_near_the_cpu(tmp_path, compose_run, toy_overrides, toy_run):
    _, _, on_cpu = toy_run
    on_gpu = train(compose_run(tmp_path, *toy_overrides, "trainer=auto", "trainer.max_epochs=2"))
    for way in ("ab", "ba"):
        difference = on_gpu["mean"]["CycleGAN"][way]["psnr"] - on_cpu["mean"]["CycleGAN"][way]["psnr"]
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
    train(compose_run(tmp_path, *toy_overrides, "trainer=auto", "trainer.max_epochs=1"))


def test_an_evaluation_gives_the_numbers_of_the_cpu(toy_run, tmp_path):
    run_dir, _, _ = toy_run
    on_gpu, on_cpu = (
        evaluate_runs([run_dir], tmp_path / device, Options(device=device)).content["summary"]
        for device in ("cuda", "cpu")
    )
    for way in ("ab", "ba"):
        for metric, tolerance in (("psnr", 0.02), ("ssim", 1e-3), ("ms_ssim", 1e-3)):
            found, expected = (one[way]["CycleGAN"]["foreground"][metric]["mean"] for one in (on_gpu, on_cpu))
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
