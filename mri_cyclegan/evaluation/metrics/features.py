"""FID and KID: distances between two sets of images in the feature space of a network trained on ImageNet."""

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance
from torchvision.models import inception_v3

FEATURE_NETWORK = "torchvision inception_v3"
NUM_FEATURES = 2048

# Input size and channel statistics of ImageNet, which the network expects.
IMAGE_SIZE = 299
CHANNEL_MEANS = (0.485, 0.456, 0.406)
CHANNEL_SDS = (0.229, 0.224, 0.225)

BATCH_SIZE = 16
KID_SUBSET_SIZE = 1000
KID_NUM_SUBSETS = 100
SEED = 0


def find_weights(path: Path | None) -> Path | None:
    """Path of the feature network's weights on this machine; nothing is downloaded.

    Args:
        path: given by the user; None to look in the torch hub folder.

    Returns:
        That path, else the file that torchvision has downloaded there, else None.

    Raises:
        ValueError: the given path is not a file.
    """
    if path is None:
        kept = sorted(Path(torch.hub.get_dir()).glob("checkpoints/inception_v3_google-*.pth"))
        return kept[0] if kept else None
    if not path.is_file():
        raise ValueError(
            f"--feature-weights {path}: no such file; expected the weights of {FEATURE_NETWORK} (.pth). "
            "Correct the path, or leave the option out to evaluate without FID and KID."
        )
    return path


def load_feature_network(path: Path) -> nn.Module:
    """The network whose last pooled features FID and KID compare.

    Args:
        path: state dict of torchvision's ``inception_v3``, such as ``IMAGENET1K_V1``; loading runs no pickled code.

    Returns:
        Network in evaluation mode, from (B, 3, 299, 299) normalized as ImageNet to (B, 2048).

    Raises:
        ValueError: the file is not such a state dict.
    """
    # transform_input undoes the normalization: these weights were ported from a network that expects [-1, 1].
    network = inception_v3(weights=None, init_weights=False, transform_input=True)
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, pickle.UnpicklingError, EOFError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(
            f"{path.name}: not the weights of {FEATURE_NETWORK}; expected its state dict (IMAGENET1K_V1, 104 MB). "
            "Download it again, or leave out --feature-weights to evaluate without FID and KID."
        ) from error
    network.fc = nn.Identity()
    return network.eval().requires_grad_(False)


@torch.inference_mode()
def image_features(network: nn.Module, images: Tensor) -> Tensor:
    """Features of each image.

    Args:
        network: from :func:`load_feature_network`.
        images: (B, 1, H, W), in [0, 1]; processed in batches of 16.

    Returns:
        (B, 2048) float32.
    """
    means, sds = (images.new_tensor(values)[:, None, None] for values in (CHANNEL_MEANS, CHANNEL_SDS))
    size = (IMAGE_SIZE, IMAGE_SIZE)
    features = [
        network((functional.interpolate(batch, size, mode="bilinear", antialias=True) - means) / sds)
        for batch in images.float().split(BATCH_SIZE)
    ]
    return torch.cat(features)


def feature_distance(outputs: Tensor, targets: Tensor) -> dict[str, Any]:
    """Fréchet and kernel distance between two sets of features.

    Both need many images: FID is biased upward for few images, especially for fewer images than features. KID is the
    mean over random subsets of 1000 images, or of the smaller set's size.

    Args:
        outputs: (M, 2048), features of the outputs' slices; M at least 2.
        targets: (K, 2048), features of real slices; K at least 2.

    Returns:
        ``features``, the network's name; ``fid``, at least 0; ``kid``, about 0 for sets of the same distribution and
        sometimes negative; ``num_images``, M.

    Reference:
        Heusel et al., NeurIPS 2017, equation 6; Bińkowski et al., "Demystifying MMD GANs", ICLR 2018, section 4.
    """
    fid = FrechetInceptionDistance(feature=_Features(outputs.shape[1]))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*will save all extracted features.*")
        subset_size = min(KID_SUBSET_SIZE, len(outputs), len(targets))
        kid = KernelInceptionDistance(_Features(outputs.shape[1]), KID_NUM_SUBSETS, subset_size)
    for metric in (fid, kid):
        metric.update(outputs.double(), real=False)
        metric.update(targets.double(), real=True)
    # KID draws its subsets from the global random generator.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        mean_kid, _ = kid.compute()
    # Rounding can make the distance of nearly equal sets slightly negative.
    fid_value = max(0.0, fid.compute().item())
    return {"features": FEATURE_NETWORK, "fid": fid_value, "kid": mean_kid.item(), "num_images": len(outputs)}


class _Features(nn.Identity):
    """Identity on precomputed features: each image runs through the network once for both metrics."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features
