import base64
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from mri_cyclegan.evaluation.report.figures import bland_altman, box_plot, calibration_curve, svg_uri


def svg(figure):
    header, content = svg_uri(figure).split(",")
    assert header == "data:image/svg+xml;base64"
    return base64.b64decode(content).decode()


@pytest.fixture
def values():
    random = np.random.default_rng(0)
    return {name: random.normal(mean, 1, 20).tolist() for name, mean in {"model": 22, "copy": 11, "mean": 16}.items()}


def test_boxes_are_the_quartiles_and_lines_the_medians(values):
    (axes,) = box_plot(values, "PSNR (dB)").axes
    for box, line, numbers in zip(axes.patches, axes.lines, values.values(), strict=True):
        low, middle, high = np.percentile(numbers, [25, 50, 75])
        np.testing.assert_allclose([box.get_x(), box.get_x() + box.get_width()], [low, high])
        np.testing.assert_allclose(line.get_xdata(), middle)


def test_every_subject_is_a_point_beside_its_method(values):
    (axes,) = box_plot(values, "PSNR (dB)").axes
    for row, (points, numbers) in enumerate(zip(axes.collections, values.values(), strict=True)):
        x, y = np.array(points.get_offsets()).T
        assert x.tolist() == numbers
        assert np.abs(y - row).max() < 0.31
        assert len(set(y)) == len(y)


def test_the_judged_method_stands_on_top_and_in_its_own_color(values):
    (axes,) = box_plot(values, "PSNR (dB)").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == list(values)
    bottom, top = axes.get_ylim()
    assert top < 0 < bottom
    colors = [tuple(box.get_edgecolor()) for box in axes.patches]
    assert colors[0] != colors[1] == colors[2]


def test_a_single_subject_is_a_line_and_a_point():
    (axes,) = box_plot({"model": [22.0]}, "PSNR (dB)").axes
    assert axes.patches[0].get_width() == 0
    assert axes.collections[0].get_offsets()[0, 0] == 22


def test_many_subjects_do_not_make_a_large_file():
    values = {str(method): np.random.default_rng(method).normal(size=5000).tolist() for method in range(5)}
    assert len(svg(box_plot(values, "PSNR (dB)"))) < 300_000


def test_bias_and_limits_of_agreement_of_each_tissue():
    random = np.random.default_rng(0)
    target = random.normal(0.6, 0.02, 12)
    output = target - 0.03 + random.normal(0, 0.01, 12)
    figure = bland_altman({"gm": list(zip(target, output)), "wm": [(0.4, 0.5)]})
    (axes,) = figure.axes
    zero, gm, wm = axes.lines
    assert list(zero.get_ydata()) == [0, 0]
    differences = output - target
    np.testing.assert_allclose(gm.get_ydata(), differences.mean())
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    limit = 1.96 * np.std(differences, ddof=1)
    np.testing.assert_allclose([band.min(), band.max()], differences.mean() + np.array([-limit, limit]))
    np.testing.assert_allclose(
        axes.collections[1].get_offsets(), np.stack([(target + output) / 2, differences], axis=1)
    )
    np.testing.assert_allclose(wm.get_ydata(), 0.1)
    assert len(axes.collections) == 3, "of a single subject a point, but no band"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["gm", "wm"]


def test_calibration_is_drawn_beside_the_diagonal():
    points = [{"spread": 0.02, "error": 0.03, "share": 0.5}, {"spread": 0.08, "error": 0.05, "share": 0.5}]
    (axes,) = calibration_curve(points).axes
    diagonal, measured = axes.lines
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())
    assert (list(measured.get_xdata()), list(measured.get_ydata())) == ([0.02, 0.08], [0.03, 0.05])
    assert axes.get_xlim() == axes.get_ylim()


def test_a_figure_is_one_file_that_needs_nothing_else(values):
    root = ElementTree.fromstring(svg(box_plot(values, "PSNR (dB)")))
    links = [value for element in root.iter() for name, value in element.attrib.items() if name.endswith("href")]
    assert links
    assert all(link.startswith("#") for link in links)
    assert not [element for element in root.iter() if element.tag.endswith(("script", "text", "style"))][1:]


def test_drawing_changes_no_global_setting(values):
    before = dict(matplotlib.rcParams)
    svg(box_plot(values, "PSNR (dB)"))
    svg(bland_altman({"gm": [(0.4, 0.5), (0.5, 0.5)]}))
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", ["$x^{$", "$\\frac{$ <script>"])
def test_a_dollar_in_the_name_of_a_tissue_is_no_formula(name):
    figure = bland_altman({name: [(0.1, 0.2), (0.3, 0.3)]})
    ElementTree.fromstring(svg(figure))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [name]
