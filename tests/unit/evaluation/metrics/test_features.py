import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn
from torchmetrics.image.kid import poly_mmd
from torchvision.models import Inception_V3_Weights, inception_v3
from torchvision.transforms.v2 import functional as transforms

from mri_cyclegan.evaluation.metrics.features import (
    FEATURE_NETWORK,
    feature_distance,
    find_weights,
    image_features,
    load_feature_network,
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "inception_v3_google-random.pth"
    torch.save(inception_v3(weights=None, init_weights=False).state_dict(), path)
    return path


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def features(seed, num_images, shift=0.0, num_features=12):
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(0, 1, (num_features, num_features))
    return torch.from_numpy(random.normal(shift, 1, (num_images, num_features)) @ mixing).float()


def test_the_named_file_comes_first(hub, tmp_path):
    (hub / "inception_v3_google-0cc3c7bd.pth").touch()
    own = tmp_path / "own.pth"
    own.touch()
    assert find_weights(own) == own


def test_otherwise_the_file_that_torchvision_keeps(hub):
    (hub / "inception_v3_google-0cc3c7bd.pth").touch()
    (hub / "resnet18-f37072fd.pth").touch()
    assert find_weights(None) == hub / "inception_v3_google-0cc3c7bd.pth"


def test_without_a_file_there_are_no_weights(hub):
    assert find_weights(None) is None


def test_torchvisions_own_file_has_the_name_that_is_looked_for(hub):
    name = Inception_V3_Weights.IMAGENET1K_V1.url.rsplit("/", 1)[1]
    (hub / name).touch()
    assert find_weights(None) == hub / name


def test_a_named_file_that_is_not_there_is_refused(hub, tmp_path):
    (hub / "inception_v3_google-0cc3c7bd.pth").touch()
    with pytest.raises(ValueError, match=r"--feature-weights .*missing\.pth: no such file"):
        find_weights(tmp_path / "missing.pth")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04 cut off",
        b"no weights",
        {"fc.weight": torch.zeros(3)},
        torch.zeros(3),
        [1, 2],
        nn.Linear(2, 2),
    ],
    ids=["empty", "cut off", "text", "other network", "tensor", "list", "pickled module"],
)
def test_a_file_that_is_no_such_state_dict_is_refused(tmp_path, content):
    path = tmp_path / "other.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=r"other\.pth: not the weights of torchvision inception_v3"):
        load_feature_network(path)


@torch.inference_mode()
def test_features_are_what_the_classifier_sees(weights):
    state = torch.load(weights, weights_only=True)
    reference = inception_v3(weights=None, init_weights=False, transform_input=True).eval()
    reference.load_state_dict(state)
    seen = []
    reference.fc.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    images = torch.rand(2, 1, 90, 80, generator=torch.Generator().manual_seed(0))
    color = transforms.resize(images.expand(-1, 3, -1, -1), [299, 299], antialias=True)
    reference(transforms.normalize(color, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    result = image_features(load_feature_network(weights), images)
    assert result.shape == (2, 2048)
    torch.testing.assert_close(result, seen[0], rtol=1e-4, atol=1e-5)


def test_any_number_of_images_is_taken_a_few_at_a_time():
    sizes = []

    class Network(nn.Module):
        def forward(self, images):
            sizes.append(len(images))
            return images.mean(dim=(2, 3))

    images = torch.linspace(0, 1, 37)[:, None, None, None].expand(-1, 1, 8, 8)
    result = image_features(Network(), images)
    assert max(sizes) < 37
    expected = (images[:, :, 0, 0] - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)


def test_fid_equals_the_formula_with_scipys_matrix_root():
    outputs, targets = features(0, 80, shift=0.3), features(1, 60)
    x, y = outputs.double().numpy(), targets.double().numpy()
    covariances = [np.cov(array, rowvar=False) for array in (x, y)]
    expected = ((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum() + sum(np.trace(c) for c in covariances)
    expected -= 2 * np.trace(sqrtm(covariances[0] @ covariances[1]).real)
    result = feature_distance(outputs, targets)
    assert result["fid"] == pytest.approx(expected, rel=1e-6)
    assert result["features"] == FEATURE_NETWORK
    assert result["num_images"] == 80


def test_kid_of_small_sets_is_the_unbiased_estimate_over_all_images():
    outputs, targets = features(0, 70, shift=0.5), features(1, 70)
    expected = poly_mmd(targets.double(), outputs.double()).item()
    assert expected > 0.1
    assert feature_distance(outputs, targets)["kid"] == pytest.approx(expected, rel=1e-9)


def test_sets_of_different_sizes_give_the_same_numbers_each_time():
    outputs, targets = features(0, 90, shift=0.5), features(1, 70)
    torch.manual_seed(1)
    first = feature_distance(outputs, targets)
    state = torch.get_rng_state()
    torch.manual_seed(2)
    assert feature_distance(outputs, targets) == first
    torch.manual_seed(1)
    assert torch.equal(torch.get_rng_state(), state), "the global generator was moved"
    whole = feature_distance(outputs[:70], targets)["kid"]
    assert first["kid"] == pytest.approx(whole, rel=0.5)


def test_the_same_images_have_no_distance():
    images = features(0, 60)
    result = feature_distance(images, images)
    assert 0 <= result["fid"] < 1e-4
    assert abs(result["kid"]) < abs(feature_distance(images, features(1, 60, shift=0.5))["kid"])


@pytest.mark.filterwarnings("error")
def test_users_are_not_warned_about_memory():
    feature_distance(features(0, 10), features(1, 12))
