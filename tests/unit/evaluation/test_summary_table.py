import sys

import pytest

from mri_cyclegan.evaluation.summary_table import print_summary, verdict


def means(psnr=20.0, ssim=0.8):
    model = {"ab": {"psnr": psnr, "ssim": 0.8}, "ba": {"psnr": 20.0, "ssim": ssim}}
    baseline = {way: {"psnr": 15.0, "ssim": 0.5} for way in ("ab", "ba")}
    return {"CycleGAN": model, "copy": baseline, "mean intensity": baseline}


def test_a_model_above_every_baseline_is_said_to_be_so():
    assert verdict(means(), ("T1w", "T2w")) == "Both directions beat copy and mean intensity in both metrics."


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"psnr": 15.0}, "T1w → T2w PSNR is not above copy"),
        ({"ssim": 0.1}, "T2w → T1w SSIM is not above mean intensity"),
    ],
)
def test_what_does_not_beat_a_baseline_is_named(changes, words):
    text = verdict(means(**changes), ("T1w", "T2w"))
    assert text.startswith("Not good enough: ")
    assert words in text


def test_the_printed_command_runs_with_this_python(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    (tmp_path / "tensorboard").mkdir()
    print_summary(
        tmp_path, ("T1w", "T2w"), {"mean": means(), "measured_on": "6 test subjects", "weights": "last epoch"}
    )
    output = capsys.readouterr().out
    assert f"{sys.executable} -m tensorboard.main --logdir {tmp_path}" in output
    assert "+5.00" in output
    assert "+0.300" in output
