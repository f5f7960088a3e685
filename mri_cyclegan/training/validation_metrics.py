"""Paired metrics for monitoring training, on the networks' own slices and on their device."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.image import structural_similarity_index_measure

from mri_cyclegan.slice_stack import center_slice


class PairedMetrics(Metric):
    """PSNR and SSIM of each subject over the foreground of its target volume, accumulated slice by slice.

    They follow the evaluation protocol, but on the networks' grid; SSIM windows use reflect padding at the border.
    Final results are computed on the scan's grid, see :mod:`mri_cyclegan.evaluation.metrics.paired`.

    Intensities are those of the evaluation protocol: [0, 1], data range 1, the prediction never rescaled to fit.
    SSIM is 2-D (Gaussian window 11, σ 1.5, K1 0.01, K2 0.03, population covariance), its map averaged over the mask
    of the whole volume; PSNR is 10 · log10(1 / MSE) over the same voxels.

    Each rank may see a part of the slices: :meth:`compute` adds up the sums of all ranks.

    Args:
        num_cases: number of subjects.
        sync_on_compute: False if a single rank has seen all slices and the others do not take part.

    Reference:
        Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 2004.
    """

    full_state_update = False
    squared_error: Tensor
    similarity: Tensor
    num_voxels: Tensor

    def __init__(self, num_cases: int, sync_on_compute: bool = True) -> None:
        super().__init__(sync_on_compute=sync_on_compute)
        for name in ("squared_error", "similarity", "num_voxels"):
            self.add_state(name, torch.zeros(num_cases, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, prediction: Tensor, target: Tensor, mask: Tensor, case: Tensor) -> None:
        """Add slices.

        Args:
            prediction: (B, 1, H, W), in [-1, 1], or a stack, of which only the center slice counts.
            target: same shape and range.
            mask: (B, 1, H, W) bool, the target's foreground.
            case: (B,), subject index of each slice.
        """
        prediction, target = ((center_slice(image).float() + 1) / 2 for image in (prediction, target))
        ssim = structural_similarity_index_measure(
            prediction, target, sigma=1.5, kernel_size=11, data_range=1.0, return_full_image=True
        )
        maps = {
            "squared_error": (prediction - target).square() * mask,
            "similarity": ssim[1] * mask,  # type: ignore[index]
            "num_voxels": mask,
        }
        for name, values in maps.items():
            getattr(self, name).index_add_(0, case, values.sum(dim=(1, 2, 3), dtype=torch.float64))

    def compute(self) -> dict[str, Tensor]:
        """``psnr`` in dB and ``ssim`` of each subject, (num_cases,)."""
        mean_squared_error = self.squared_error / self.num_voxels
        return {"psnr": -10 * torch.log10(mean_squared_error), "ssim": self.similarity / self.num_voxels}
