import json
from types import SimpleNamespace

import pytest
import torch

from mri_cyclegan.training.callbacks.validation import BestValidation


def pair(a, b):
    return tuple(SimpleNamespace(record={"voxel_hash": name}) for name in (a, b))


def trainer_at(epoch=0, ssim=None, pairs=(("1", "2"),), preprocessing="axial 64", limit=1.0, **changes):
    metrics = {} if ssim is None else {"val/ssim": torch.tensor(ssim)}
    data = SimpleNamespace(val_pairs=[pair(*names) for names in pairs], preprocessing=preprocessing)
    state = {"is_global_zero": True, "sanity_checking": False} | changes
    return SimpleNamespace(
        current_epoch=epoch, callback_metrics=metrics, datamodule=data, limit_val_batches=limit, **state
    )


def written(tmp_path, callback, *trainers):
    for trainer in trainers:
        callback.on_validation_end(trainer, None)
    path = tmp_path / "validation.json"
    return json.loads(path.read_text()) if path.exists() else None


@pytest.fixture
def callback(tmp_path):
    return BestValidation(tmp_path / "validation.json", required=False)


def test_the_best_epoch_is_kept(tmp_path, callback):
    values = (float("nan"), -0.5, 0.75, 0.25)
    content = written(tmp_path, callback, *(trainer_at(epoch, ssim) for epoch, ssim in enumerate(values)))
    assert (content["ssim"], content["epoch"]) == (0.75, 3)


@pytest.mark.parametrize(
    "changes", [{"ssim": None}, {"sanity_checking": True}, {"ssim": float("nan")}, {"is_global_zero": False}]
)
def test_what_is_no_validation_writes_nothing(tmp_path, callback, changes):
    assert written(tmp_path, callback, trainer_at(**{"ssim": 0.5} | changes)) is None


@pytest.mark.parametrize(("name", "best_epoch"), [("validation.json", 4), ("other.json", 5)])
def test_a_run_that_goes_on_keeps_its_best_where_its_best_weights_are(tmp_path, callback, name, best_epoch):
    written(tmp_path, callback, trainer_at(3, 0.75))
    continued = BestValidation(tmp_path / name, required=False)
    continued.load_state_dict(callback.state_dict())
    continued.on_validation_end(trainer_at(4, 0.5), None)
    assert json.loads((tmp_path / name).read_text())["epoch"] == best_epoch


def test_images_are_the_same_whatever_their_order_and_name(tmp_path, callback):
    def images(**changes):
        callback.best = None
        return written(tmp_path, callback, trainer_at(ssim=0.5, **changes))["images"]

    two = (("1", "2"), ("3", "4"))
    assert images(pairs=two) == images(pairs=two[::-1])
    others = [{"pairs": two[:1]}, {"pairs": (("1", "2"), ("4", "3"))}, {"preprocessing": "axial 128"}, {"limit": 0.5}]
    assert len({images(**{"pairs": two} | change) for change in [{}, *others]}) == 5


def test_a_search_without_pairs_is_refused_before_training(tmp_path):
    callback = BestValidation(tmp_path / "validation.json", required=True)
    with pytest.raises(ValueError, match=r"sweep=optuna maximizes SSIM.*data\.val_share.*sweep=loss_weights"):
        callback.on_fit_start(trainer_at(pairs=()), None)
    callback.on_fit_start(trainer_at(), None)
    BestValidation(tmp_path / "validation.json", required=False).on_fit_start(trainer_at(pairs=()), None)
