import io

import numpy as np
from PIL import Image

from mri_cyclegan.evaluation.pictures import learning_curves, sample_grid, to_png


def test_all_pictures_share_one_window():
    """A dim picture must look dim: no picture is stretched to its own range."""
    dim = np.full((8, 8), -0.5)
    dim[0, 0] = 0.0
    figure = sample_grid([("case", {"real T1w": dim, "true T2w": None, "synthetic T2w": dim * 2})], "title")
    shown = [axes.images[0] for axes in figure.axes if axes.images]
    assert [image.get_clim() for image in shown] == [(-1, 1), (-1, 1)]
    assert [axes.get_title() for axes in figure.axes] == ["real T1w", "", "synthetic T2w"]
    assert np.array_equal(shown[0].get_array(), dim)


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
    assert (axes.get_ylabel(), axes.get_title()) == ("sub-$x^{$\\x00\\udce9", "real $y_{$")
