import pytest
import torch

from mri_cyclegan.inference.any_size import PadToMultiple, wrap_for_any_size


class Network:
    """Doubles what it sees, and remembers it."""

    def __init__(self, size_multiple=4, depends_on_size=False):
        self.size_multiple, self.depends_on_size, self.seen = size_multiple, depends_on_size, []

    def __call__(self, image):
        self.seen.append(image)
        return 2 * image[:, :1]


@pytest.mark.parametrize(
    ("size", "padded"), [((8, 8), (8, 8)), ((7, 9), (8, 12)), ((1, 1), (4, 4)), ((181, 217), (184, 220))]
)
def test_images_of_any_size_are_padded_evenly_with_background_and_cut_back(size, padded):
    network, image = Network(), torch.rand(2, 3, *size)
    torch.testing.assert_close(PadToMultiple(network, 4)(image), 2 * image[:, :1])
    (seen,) = network.seen
    assert seen.shape == (2, 3, *padded)
    top, left = ((new - old) // 2 for new, old in zip(padded, size))
    image_in_it = seen[..., top : top + size[0], left : left + size[1]]
    torch.testing.assert_close(image_in_it, image)
    assert (seen == -1).sum() == seen.numel() - image.numel()


@pytest.mark.parametrize(
    ("depends_on_size", "multiple", "size", "tile"),
    [
        (False, 4, (24, 21), (24, 24)),  # up to 1.5 times the size of training: whole
        (False, 4, (25, 9), (24, 12)),  # larger along one axis
        (False, 16, (17, 16), (16, 16)),  # the next multiple would be twice the size
        (True, 4, (17, 16), (16, 16)),
        (True, 4, (16, 16), (16, 16)),
    ],
)
def test_a_network_sees_no_larger_images_than_it_can_judge(depends_on_size, multiple, size, tile):
    network = Network(multiple, depends_on_size)
    image = torch.rand(3, 1, *size)
    torch.testing.assert_close(wrap_for_any_size(network, 16)(image), 2 * image)
    assert {tuple(seen.shape[2:]) for seen in network.seen} == {tile}
