import pytest
import torch

from mri_cyclegan.slice_stack import CenterSliceNetwork, center_slice


@pytest.mark.parametrize("num_adjacent", [0, 1, 3])
def test_the_center_is_the_middle_channel(num_adjacent):
    stack = torch.arange(2 * num_adjacent + 1.0)[None, :, None, None].expand(2, -1, 4, 4)
    assert torch.equal(center_slice(stack), torch.full((2, 1, 4, 4), float(num_adjacent)))
    assert torch.equal(CenterSliceNetwork(torch.nn.Identity())(stack), center_slice(stack))
