"""What a run on the phantom leaves behind."""

import csv
import json

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.inference.model import load_model
from mri_cyclegan.runs import results
from mri_cyclegan.train import train
from mri_cyclegan.training.cyclegan import CycleGAN

LOSSES = {
    f"loss/{name}"
    for name in (
        "generators",
        "adversarial_ab",
        "adversarial_ba",
        "cycle_a",
        "cycle_b",
        "identity_a",
        "identity_b",
        "discriminator_a",
        "discriminator_b",
    )
}
VALIDATION = {f"val/{metric}{direction}" for metric in ("psnr", "ssim") for direction in ("", "_ab", "_ba")}


def test_metrics_csv_has_every_loss_metric_and_learning_rate(toy_run):
    run_dir, _, _ = toy_run
    with (run_dir / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    filled = {key for row in rows for key, value in row.items() if value}
    assert {f"{name}_step" for name in LOSSES} | {f"{name}_epoch" for name in LOSSES} | VALIDATION <= filled
    assert {"learning_rate/generators", "learning_rate/discriminators", "time/step_s", "time/waiting_share"} <= filled
    steps = [int(row["step"]) for row in rows if row["loss/generators_step"]]
    assert steps == list(range(6)), "the step axis counts batches, not optimizer steps"
    rates = [float(row["learning_rate/generators"]) for row in rows if row["learning_rate/generators"]]
    assert rates == pytest.approx([2e-4, 1e-4]) or rates == pytest.approx([rates[0], rates[0] / 2])


def test_tensorboard_has_scalars_pictures_text_and_hparams(toy_run):
    run_dir, _, summary = toy_run
    events = EventAccumulator(str(run_dir / "tensorboard")).Reload()
    tags = events.Tags()
    assert {f"{name}_step" for name in LOSSES} | VALIDATION <= set(tags["scalars"])
    assert "samples" in tags["images"]
    assert len(events.Images("samples")) == 2
    text = events.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "lambda_cycle: 1.0" in text
    final = events.Scalars("final/ssim_ab")[-1].value
    assert final == pytest.approx(summary["mean"]["CycleGAN"]["ab"]["ssim"], abs=1e-6)
    assert any("hparams" in tag for tag in events.summary_metadata)


def test_pictures_show_the_fixed_cases_every_epoch(toy_run):
    run_dir, _, _ = toy_run
    names = sorted(path.name for path in (run_dir / "samples").iterdir())
    assert names == ["epoch_0001.png", "epoch_0002.png"]
    first, second = (np.asarray(Image.open(run_dir / "samples" / name).convert("L"), dtype=float) for name in names)
    assert first.shape == second.shape
    assert first.std() > 20  # not an empty page
    assert not np.array_equal(first, second)
    assert Image.open(run_dir / "progress.png").size[0] > 500


def test_the_split_is_unpaired_and_saved(toy_run):
    run_dir, _, _ = toy_run
    split = json.loads((run_dir / "split.json").read_text())
    subjects = split["subjects"]
    assert split["subjects_in_both_training_domains"] == []
    assert len(subjects["train_a"]) == len(subjects["train_b"]) == 2
    everyone = [name for part in subjects.values() for name in part]
    assert len(everyone) == len(set(everyone)) == 8


def test_the_summary_holds_model_and_baselines_for_each_test_subject(toy_run):
    run_dir, _, summary = toy_run
    assert json.loads((run_dir / "summary.json").read_text()) == summary
    assert summary["measured_on"] == "2 test subjects, 2 with pairs"
    assert summary["training_s"] > 0
    for method in ("CycleGAN", "copy", "mean image", "histogram matching", "oracle look-up table"):
        for direction in ("ab", "ba"):
            for metric in ("psnr", "ssim", "ms_ssim", "mae", "nmse", "nmi"):
                values = summary["per_subject"][method][direction][metric]
                assert len(values) == 2
                assert summary["mean"][method][direction][metric] == pytest.approx(np.mean(values))


def test_the_table_and_the_files_agree_with_a_computation_by_hand(toy_run):
    """PSNR of the saved model on one test subject, from its files, with nothing of the training code but the loader."""
    run_dir, _, summary = toy_run
    split = json.loads((run_dir / "split.json").read_text())
    subject = split["subjects"]["test"][0]
    t1w, t2w = sorted(path for path in split["files"]["test"] if subject in path)
    from mri_cyclegan.data.transforms import Preprocessing

    settings = json.loads((run_dir / "model" / "model.json").read_text())["preprocessing"]
    assert settings.pop("num_adjacent_slices") == 0
    source, target = (Preprocessing(**settings)(read_volume(path)) for path in (t1w, t2w))
    with torch.inference_mode():
        prediction = load_model(run_dir).networks["ab"](torch.from_numpy(source.slices)[:, None])[:, 0].numpy()
    prediction[(source.slices == -1) & ~source.foreground] = -1  # background stays background
    error = ((prediction - target.slices) / 2)[target.foreground]
    psnr = 10 * np.log10(1 / np.mean(error**2))
    assert summary["per_subject"]["CycleGAN"]["ab"]["psnr"][0] == pytest.approx(psnr, abs=1e-3)


def test_neighboring_slices_train_as_channels_and_the_center_slice_is_measured(tmp_path, compose_run, toy_overrides):
    """One key widens every network; PSNR of the saved model on one test subject, from its files, edges repeated."""
    from mri_cyclegan.data.transforms import Preprocessing

    summary = train(compose_run(tmp_path, *toy_overrides, "data.num_adjacent_slices=1", "trainer.max_epochs=1"))
    state = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert state["discriminator_a.layers.0.weight"].shape[1] == state["pool_a.images"].shape[1] == 3

    settings = json.loads((tmp_path / "model" / "model.json").read_text())["preprocessing"]
    assert settings.pop("num_adjacent_slices") == 1
    split = json.loads((tmp_path / "split.json").read_text())
    t1w, t2w = sorted(path for path in split["files"]["test"] if split["subjects"]["test"][0] in path)
    source, target = (Preprocessing(**settings)(read_volume(path)) for path in (t1w, t2w))
    padded = torch.from_numpy(np.pad(source.slices, ((1, 1), (0, 0), (0, 0)), mode="edge"))
    with torch.inference_mode():
        prediction = load_model(tmp_path).networks["ab"](torch.stack([padded[:-2], padded[1:-1], padded[2:]], 1))
    assert prediction.shape == (len(source.slices), 1, 32, 32)
    prediction = prediction[:, 0].numpy()
    prediction[(source.slices == -1) & ~source.foreground] = -1  # background stays background
    error = ((prediction - target.slices) / 2)[target.foreground]
    psnr = 10 * np.log10(1 / np.mean(error**2))
    assert summary["per_subject"]["CycleGAN"]["ab"]["psnr"][0] == pytest.approx(psnr, abs=1e-3)
    assert np.asarray(Image.open(tmp_path / "samples" / "epoch_0001.png").convert("L"), dtype=float).std() > 20


def test_a_training_step_sees_augmented_slices_and_nothing_else(tmp_path, compose_run, toy_overrides, monkeypatch):
    seen = []
    step = CycleGAN.training_step

    def watched(self, batch, batch_index):
        seen.append((self.trainer.datamodule, batch))
        step(self, batch, batch_index)

    monkeypatch.setattr(CycleGAN, "training_step", watched)
    train(compose_run(tmp_path, *toy_overrides, "trainer.max_epochs=1", "evaluate=false"))
    datamodule = seen[0][0]
    loader = datamodule.train_dataloader()
    for (_, batch), loaded in zip(seen, loader, strict=False):
        expected = datamodule.augmentation.of_batch(loaded)
        assert set(batch) == {"a", "b"}
        for name in "ab":
            assert torch.equal(batch[name], expected[name])
            assert not torch.equal(batch[name], loaded[name])


def last_weights(run_dir):
    return torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def are_equal(state, other):
    return all(torch.equal(torch.as_tensor(state[key]), torch.as_tensor(other[key])) for key in state)


def test_position_matched_batches_train(tmp_path, compose_run, toy_overrides, toy_run):
    run_dir, _, _ = toy_run
    overrides = ["evaluate=false", "data.match=position", "data.match_tolerance=0.1"]
    train(compose_run(tmp_path, *toy_overrides, *overrides))
    assert not are_equal(last_weights(tmp_path), last_weights(run_dir))


def test_checkpoints_load_as_plain_data(toy_run):
    run_dir, _, summary = toy_run
    names = sorted(path.name for path in (run_dir / "checkpoints").iterdir())
    assert names == ["best.ckpt", "last.ckpt", "previous.ckpt"]
    last = torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 1
    assert len(last["optimizer_states"]) == len(last["lr_schedulers"]) == 2
    assert {"pool_a.images", "pool_b.images", "ema_ab._extra_state"} <= last["state_dict"].keys()
    assert summary["weights"].startswith("best epoch on validation")


def test_configuration_and_environment_are_kept(toy_run):
    run_dir, _, _ = toy_run
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    assert config["generator"]["depth"] == 3
    environment = json.loads((run_dir / "environment.json").read_text())
    assert environment["versions"]["torch"] == torch.__version__.partition("+")[0]


def test_a_folder_that_holds_a_run_is_refused(toy_run):
    run_dir, config, summary = toy_run
    (run_dir / "error.txt").write_text("of the run that is there")
    with pytest.raises(ValueError, match=f"run_dir: {run_dir} holds a run already"):
        train(config)
    assert json.loads((run_dir / "summary.json").read_text()) == summary
    assert (run_dir / "error.txt").exists()
    (run_dir / "error.txt").unlink()


def test_without_averaging_the_generators_themselves_are_saved(tmp_path, compose_run, toy_overrides):
    words = ["optimization.ema_decay=null", "trainer.max_epochs=1", "evaluate=false"]
    config = compose_run(tmp_path, *toy_overrides, *words)
    train(config)
    state = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    saved = load_model(tmp_path).networks["ab"].state_dict()
    for name, tensor in saved.items():
        assert torch.equal(tensor, state[f"generator_ab.{name}"])
    assert not any(key.startswith("ema_") for key in state)


def test_another_seed_gives_another_run(tmp_path, compose_run, toy_overrides, toy_run):
    train(compose_run(tmp_path, *toy_overrides, "evaluate=false", "seed=1"))
    assert not are_equal(last_weights(tmp_path), last_weights(toy_run[0]))


@pytest.mark.parametrize("kind", ["bce", "hinge"])
def test_identity_can_be_left_out_and_every_adversarial_loss_trains(tmp_path, compose_run, toy_overrides, kind):
    overrides = ["evaluate=false", "model.lambda_identity=0", f"model.adversarial_loss={kind}", "trainer.max_epochs=1"]
    summary = train(compose_run(tmp_path, *toy_overrides, *overrides))
    assert summary["mean"] == {}
    assert not (tmp_path / "evaluation").exists()
    with (tmp_path / "metrics.csv").open() as lines:
        values = [row["val/psnr"] for row in csv.DictReader(lines) if row["val/psnr"]]
    assert len(values) == 1
    assert np.isfinite(float(values[0]))


def test_a_training_whose_evaluation_fails_is_not_lost(tmp_path, compose_run, toy_overrides, monkeypatch, caplog):
    def refuse(*_):
        raise ValueError("no subject is left to evaluate")

    monkeypatch.setattr(results, "evaluate_runs", refuse)
    summary = train(compose_run(tmp_path, *toy_overrides, "trainer.max_epochs=1"))
    assert summary["mean"] == {}
    assert json.loads((tmp_path / "summary.json").read_text())["training_s"] > 0
    assert load_model(tmp_path).contrasts == ("T1w", "T2w")
    assert "could not be evaluated: no subject is left" in caplog.text


def test_a_screen_that_fails_loses_nothing(tmp_path, compose_run, toy_overrides, monkeypatch):
    def fail(*_):
        raise BrokenPipeError

    monkeypatch.setattr(results, "print_evaluation", fail)
    with pytest.raises(BrokenPipeError):
        train(compose_run(tmp_path, *toy_overrides, "trainer.max_epochs=1", "trainer.limit_train_batches=1"))
    assert json.loads((tmp_path / "summary.json").read_text())["mean"]["CycleGAN"]["ab"]["ssim"] < 1
    assert (tmp_path / "evaluation" / "report.html").exists()
    assert any(b"final/ssim_ab" in path.read_bytes() for path in (tmp_path / "tensorboard").rglob("events*"))


def test_training_starts_from_a_trained_model(tmp_path, compose_run, toy_overrides, toy_run):
    """Without a step of the generators it must be that model: also the moving averages, which are what is saved."""
    folder = toy_run[0]
    words = [f"initial_model={folder}", "optimization.learning_rate_generators=0", "evaluate=false", "seed=7"]
    train(compose_run(tmp_path, *toy_overrides, *words))
    image = torch.rand(1, 1, 32, 32) * 2 - 1
    started, trained = load_model(tmp_path), load_model(folder)
    for direction in ("ab", "ba"):
        assert torch.allclose(started.networks[direction](image), trained.networks[direction](image), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("generator.base_channels=6", r"initial_model: generator_ab of .* is another network than this training's"),
        ("data.contrasts=[T2w,T1w]", r"initial_model: .* translates T1w and T2w, this training T2w and T1w"),
        ("data.num_adjacent_slices=1", r"initial_model: generator_ab of .*data\.num_adjacent_slices"),
    ],
)
def test_an_initial_model_that_does_not_fit_is_refused(tmp_path, compose_run, toy_overrides, toy_run, change, message):
    with pytest.raises(ValueError, match=message):
        train(compose_run(tmp_path, *toy_overrides, f"initial_model={toy_run[0]}", change))


def rates_of(folder):
    with (folder / "metrics.csv").open(newline="") as lines:
        rows = csv.DictReader(lines)
        return [float(row["learning_rate/generators"]) for row in rows if row["learning_rate/generators"]]


def test_a_run_that_goes_on_has_the_rates_that_it_is_given_from_its_first_epoch_on(
    tmp_path, compose_run, toy_overrides
):
    """A finished run ends at rate 0, and its checkpoint holds that and the rates it was given."""
    words = [*toy_overrides, "evaluate=false", "trainer.limit_train_batches=1"]
    train(compose_run(tmp_path / "first", *words, "trainer.max_epochs=2"))
    last = tmp_path / "first" / "checkpoints" / "last.ckpt"
    longer = [*words, "trainer.max_epochs=4", f"ckpt_path={last}", "optimization.learning_rate_generators=3e-4"]
    train(compose_run(tmp_path / "second", *longer))
    assert rates_of(tmp_path / "second") == pytest.approx([2e-4, 1e-4])


def test_the_usual_first_tries_of_a_set_up_train(tmp_path, compose_run, toy_overrides, monkeypatch):
    """One batch for every epoch, the same with its changes; and a batch of everything, which is evaluated too."""
    seen = []
    step = CycleGAN.training_step

    def watched(self, batch, batch_index):
        seen.append(batch)
        step(self, batch, batch_index)

    monkeypatch.setattr(CycleGAN, "training_step", watched)
    train(compose_run(tmp_path / "overfit", *toy_overrides, "+trainer.overfit_batches=1", "evaluate=false"))
    first, second = seen
    assert torch.equal(first["a"], second["a"])
    assert torch.equal(first["b"], second["b"])
    summary = train(compose_run(tmp_path / "fast", *toy_overrides, "+trainer.fast_dev_run=true"))
    assert len(seen) == 3
    assert summary["mean"]["CycleGAN"]
