import io

import numpy as np
from PIL import Image

from mri_cyclegan.pictures import learning_curves, sample_grid, to_png


def test_all_pictures_share_one_window():
    """A dim picture must look dim: no picture is stretched to its own range."""
    dim = np.full((8, 8), -0.5)
    dim[0, 0] = 0.0
    figure = sample_grid([("case", {"real T1w": dim, "true T2w": None, "synthetic T2w": dim * 2})], "title")
    (axes,) = figure.axes
    shown = axes.images
    assert [image.get_clim() for image in shown] == [(-1, 1), (-1, 1)]
    assert [text.get_text() for text in axes.texts] == ["case", "real T1w", "synthetic T2w"]
    assert np.array_equal(shown[0].get_array(), dim)


def test_each_picture_stands_under_its_name_in_its_own_shape():
    wide, tall = np.zeros((4, 8)), np.zeros((8, 4))
    figure = sample_grid(
        [("case", {"real": wide, "true": None, "synthetic": tall}), ("other", {"real": tall})], "title"
    )
    (axes,) = figure.axes
    extents = [image.get_extent() for image in axes.images]
    for (left, right, bottom, top), picture in zip(extents, (wide, tall, tall)):
        assert np.isclose((bottom - top) / (right - left), np.divide(*picture.shape))
        assert 0 < left < right < axes.get_xlim()[1]
        assert 0 < top < bottom < axes.get_ylim()[0]
    names = [text.get_position() for text in axes.texts if text.get_text() in ("real", "synthetic")]
    for (middle, above), (left, right, _, top) in zip(names, extents):
        assert middle == (left + right) / 2
        assert top - 0.1 < above < top


def test_curves_show_every_epoch_and_the_baselines():
    history = [{"epoch": float(i), "val/ssim_ab": 0.1 * i, "loss/cycle_a": 1.0 / (i + 1)} for i in range(3)]
    figure = learning_curves(history, {"copy": {"val/ssim_ab": -0.2}})
    lines = {line.get_label(): line for axes in figure.axes for line in axes.lines}
    assert lines["ssim_ab"].get_xdata().tolist() == [1, 2, 3]
    assert lines["copy ab"].get_ydata() == [-0.2, -0.2]
    assert Image.open(io.BytesIO(to_png(figure))).size[0] > 500


def test_names_in_pictures_are_no_formulas_and_can_all_be_drawn():
    figure = sample_grid([("sub-$x^{$\x00\udce9", {"real $y_{$": np.zeros((8, 8))})], "title")
    assert Image.open(io.BytesIO(to_png(figure))).size[0] > 100
    (axes,) = figure.axes
    assert tuple(text.get_text() for text in axes.texts) == ("sub-$x^{$\\x00\\udce9", "real $y_{$")
