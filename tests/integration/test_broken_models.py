"""Each audit turns red for a model built to fail it, and none for one that knows the truth."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mri_cyclegan.data.intensities import scale_intensities
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.evaluation import finished_run
from mri_cyclegan.evaluation.run_evaluation import Options, evaluate_runs
from mri_cyclegan.inference.model import load_model
from mri_cyclegan.train import train

SPACING_MM = 4


@pytest.fixture(scope="module")
def run(tmp_path_factory, compose_run, toy_overrides):
    """A run with lesions in every head; nothing of its weights will matter."""
    folder = tmp_path_factory.mktemp("audited")
    overrides = [
        "evaluate=false",
        "trainer.max_epochs=1",
        "trainer.limit_train_batches=1",
        f"data.spacing_mm={SPACING_MM}",
        "data.image_size=64",
        f"data.phantom.spacing_mm={SPACING_MM}",
        "data.phantom.lesion_share=1",
        "data.phantom.num_train=6",
        "data.phantom.num_val=0",
        "data.phantom.num_test=2",
    ]
    train(compose_run(folder / "run", *toy_overrides, *overrides))
    return folder / "run"


@pytest.fixture(scope="module")
def truth(run):
    """Networks that give the true other contrast of the slice that is nearest to what they see."""
    model = load_model(run)
    split = json.loads((run / "split.json").read_text())
    slices = {}
    for letter, contrast in zip("ab", model.contrasts, strict=True):
        paths = [path for path in sorted(split["files"]["test"]) if contrast in path]
        scaled = [scale_intensities(read_volume(path)) for path in paths]
        slices[letter] = torch.from_numpy(np.concatenate([model.preprocessing.slices_of(one).slices for one in scaled]))
    return {direction: nearest(slices[direction[0]], slices[direction[1]]) for direction in ("ab", "ba")}


def nearest(sources, targets):
    def translate(images):
        distances = torch.cdist(images.flatten(1), sources.flatten(1))
        return targets[distances.argmin(dim=1)][:, None]

    return translate


def audits(run, networks, folder, monkeypatch):
    """Level of each audit and direction."""
    real = replace(load_model(run), networks=networks)
    monkeypatch.setattr(finished_run, "load_model", lambda _: real)
    content = evaluate_runs([run], folder, Options()).content
    return {(audit["name"], audit["way"]): audit["level"] for audit in content["audits"]}, content


def identity(images):
    return images


def test_a_model_that_knows_the_truth_passes_everything(run, truth, tmp_path, monkeypatch):
    levels, content = audits(run, truth, tmp_path, monkeypatch)
    assert {name: level for name, level in levels.items() if level != "green"} == {}
    assert content["summary"]["ab"]["CycleGAN"]["foreground"]["ssim"]["mean"] > 0.99
    assert all("above copy" in sentence for sentence in content["verdict"])
    for of_direction in content["unpaired"].values():
        assert of_direction["wasserstein"] < 0.01
        assert of_direction["subject_matching"]["accuracy"] == 1


def test_an_identity_copies_its_source(run, tmp_path, monkeypatch):
    levels, content = audits(run, {"ab": identity, "ba": identity}, tmp_path, monkeypatch)
    assert levels["Copying", "ab"] == levels["Copying", "ba"] == "red"
    # The same numbers as the baseline that copies: one code path.
    for of_direction in content["summary"].values():
        for metric in ("psnr", "ssim", "ms_ssim", "mae", "nmse"):
            model, copy = (of_direction[method]["foreground"][metric] for method in ("CycleGAN", "copy"))
            assert model == pytest.approx(copy, abs=1e-5)


def test_a_code_in_the_low_bits_is_found(run, truth, tmp_path, monkeypatch):
    """The fake is the truth rounded to 8 bits, with the source hidden far below one step of them."""
    depth = 1e-3

    def hide(direction):
        def translate(images):
            rounded = torch.round((truth[direction](images) + 1) / 2 * 255) / 255
            return 2 * (rounded + depth * (images + 1) / 2) - 1

        return translate

    def reveal(direction):
        def translate(images):
            unit = (images.double() + 1) / 2
            code = (unit - torch.round(unit * 255 - 0.125) / 255) / depth
            has_code = ((code > -0.01) & (code < 1.01)).double().mean(dim=(1, 2, 3)) > 0.9
            decoded = (2 * code.clamp(0, 1) - 1).float()
            return torch.where(has_code[:, None, None, None], decoded, hide(direction)(images))

        return translate

    levels, _ = audits(run, {"ab": hide("ab"), "ba": reveal("ba")}, tmp_path, monkeypatch)
    assert levels["Hidden code", "ab"] == "red"
    assert levels["Contrast", "ab"] == levels["Copying", "ab"] == "green"  # nothing else gives it away


def test_a_painted_blob_is_found(run, truth, tmp_path, monkeypatch):
    def paint(direction):
        def translate(images):
            fake = truth[direction](images).clone()
            rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
            blob = ((rows - 30) ** 2 + (columns - 38) ** 2).sqrt() * SPACING_MM < 8
            shows_head = (images > -0.9).float().mean(dim=(1, 2, 3)) > 0.15
            fake[shows_head] = torch.where(blob, torch.ones(()), fake[shows_head])
            return fake

        return translate

    levels, content = audits(run, {direction: paint(direction) for direction in ("ab", "ba")}, tmp_path, monkeypatch)
    assert levels["Invented regions", "ab"] == levels["Invented regions", "ba"] == "red"
    assert any("invented regions" in sentence for sentence in content["verdict"])


def test_inverted_contrast_is_found(run, truth, tmp_path, monkeypatch):
    def invert(direction):
        def translate(images):
            fake = truth[direction](images)
            return torch.where(fake > -0.95, -fake, fake)

        return translate

    levels, _ = audits(run, {direction: invert(direction) for direction in ("ab", "ba")}, tmp_path, monkeypatch)
    assert levels["Contrast", "ab"] == levels["Contrast", "ba"] == "red"


def test_flickering_slices_are_found(run, truth, tmp_path, monkeypatch):
    def flicker(direction):
        def translate(images):
            fake = truth[direction](images)
            # Every other slice is darker: which one follows from the picture alone.
            dark = (images.sum(dim=(1, 2, 3)).mul(1e3).long() % 2 == 0)[:, None, None, None]
            return torch.where(dark, (fake + 1) * 0.6 - 1, fake)

        return translate

    levels, _ = audits(run, {direction: flicker(direction) for direction in ("ab", "ba")}, tmp_path, monkeypatch)
    assert levels["Slice consistency", "ab"] == levels["Slice consistency", "ba"] == "red"


def test_lesions_that_are_filled_in_are_lost(run, tmp_path, monkeypatch, truth):
    """A median over 20 mm takes the lesions for noise."""
    from scipy import ndimage

    def smooth(direction):
        def translate(images):
            return torch.from_numpy(ndimage.median_filter(truth[direction](images).numpy(), (1, 1, 7, 7)))

        return translate

    levels, _ = audits(run, {direction: smooth(direction) for direction in ("ab", "ba")}, tmp_path, monkeypatch)
    assert levels["Lesions", "ab"] in ("amber", "red")
