import base64
import io
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from PIL import Image
from report_example.heads import example_images

from mri_cyclegan.evaluation.report.cases import error_colors, picture_strip, slice_strips


def pixels(uri):
    """(H, W, 3) of a strip; also the check that it is a complete picture."""
    header, content = uri.split(",")
    assert header == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB")).astype(float)


def panels(uri, count):
    return np.split(pixels(uri), count, axis=1)


def test_all_panels_have_one_window_and_the_error_its_own():
    source, output, target = (np.full((96, 96), value) for value in (0.25, 0.5, 0.75))
    shown = [panel.mean(axis=(0, 1)) for panel in panels(picture_strip(source, output, target), 4)]
    for panel, value in zip(shown, (0.25, 0.5, 0.75)):
        np.testing.assert_allclose(panel, 255 * value, atol=2)
    # An error of 0.25 is half of the error's window.
    np.testing.assert_allclose(shown[3], 255 * np.array(matplotlib.colormaps["inferno"](0.5)[:3]), atol=4)


def test_errors_beyond_the_window_have_its_last_color():
    strip = picture_strip(np.zeros((96, 96)), np.ones((96, 96)), np.zeros((96, 96)))
    np.testing.assert_allclose(panels(strip, 4)[3].mean(axis=(0, 1)), np.array([252, 255, 164]), atol=4)


def test_row_0_is_at_the_top_and_column_0_at_the_left():
    source = np.zeros((192, 192))
    source[:96, :96] = 1
    corners = panels(picture_strip(source, source, None), 2)[0][::191, ::191, 0]
    np.testing.assert_allclose(corners, [[255, 0], [0, 0]], atol=6)


def test_a_large_slice_is_averaged_down():
    board = np.indices((384, 384)).sum(axis=0) % 2
    strip = pixels(picture_strip(board, board, board))
    assert strip.shape == (192, 4 * 192, 3)
    # Beside the error's panel the colors bleed a little.
    np.testing.assert_allclose(strip[:, : 3 * 192 - 8], 127.5, atol=3)


@pytest.mark.parametrize(("side", "factor"), [(64, 3), (96, 2), (105, 2), (109, 1), (192, 1)])
def test_a_small_slice_is_enlarged_pixel_by_pixel(side, factor):
    image = np.random.default_rng(0).integers(0, 4, (side // 8 + 1, side // 8 + 1)).repeat(8, 0).repeat(8, 1) / 3
    image = image[:side, :side]
    shown = panels(picture_strip(image, image, None), 2)[0][..., 0]
    assert shown.shape == (factor * side, factor * side)
    assert np.abs(shown - 255 * image.repeat(factor, 0).repeat(factor, 1)).mean() < 4


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "panel"),
    [((48, 192), (4.0, 1.0), (192, 192)), ((192, 48), (1.0, 4.0), (192, 192)), ((20, 240), (5.0, 1.0), (100, 240))],
)
def test_pixels_are_shown_with_their_real_aspect(shape, spacing_mm, panel):
    image = np.zeros(shape)
    assert pixels(picture_strip(image, image, image, spacing_mm)).shape == (panel[0], 4 * panel[1], 3)


def test_a_wide_slice_does_not_become_wider_than_a_panel_may_be():
    image = np.zeros((100, 512))
    assert pixels(picture_strip(image, image, image)).shape == (50, 4 * 256, 3)


def test_what_is_not_there_gets_no_panel():
    image = np.zeros((192, 192))
    assert pixels(picture_strip(image, image, None)).shape[1] == 2 * 192
    assert pixels(picture_strip(None, image, image)).shape[1] == 3 * 192


def test_gray_stays_gray_and_a_strip_stays_small():
    images = example_images(shape=(1, 192, 192))
    uri = picture_strip(images.source[0], images.output[0], images.target[0])
    gray = pixels(uri)[:, : 3 * 192 - 8]
    assert np.ptp(gray, axis=2).max() <= 3
    # Noise everywhere is the worst to compress; real heads take half of it.
    assert len(uri) < 55_000
    truth = pixels(uri)[:, 2 * 192 : 3 * 192 - 8, 0]
    assert np.abs(truth - 255 * images.target[0][:, :-8]).mean() < 4


def test_slices_are_evenly_spaced_among_those_that_show_the_head():
    images = example_images(shape=(40, 32, 32))
    foreground = np.zeros((40, 32, 32), bool)
    foreground[10:31, 8:24, 8:24] = True
    numbers, strips = slice_strips(replace(images, foreground=foreground), max_slices=5)
    assert numbers == [10, 15, 20, 25, 30]
    assert len(set(strips)) == 5
    assert slice_strips(replace(images, foreground=foreground), max_slices=100)[0] == list(range(10, 31))


def test_a_volume_without_a_head_is_shown_all_the_same():
    images = example_images(shape=(3, 32, 32))
    nothing = np.zeros((3, 32, 32), bool)
    images = replace(images, foreground=nothing, source_foreground=nothing, output=np.zeros((3, 32, 32)))
    numbers, strips = slice_strips(images)
    assert numbers == [0, 1, 2]
    assert pixels(strips[0]).shape == (192, 4 * 192, 3)


def cropped_images(output):
    head = np.zeros((2, 100, 100), bool)
    head[:, 20:60, 30:70] = True
    black = np.zeros((2, 100, 100))
    return replace(
        example_images(shape=(2, 100, 100)),
        source=black,
        target=black,
        output=output,
        foreground=head,
        source_foreground=head,
    )


def test_pictures_are_cropped_to_the_head_with_a_margin():
    _, strips = slice_strips(cropped_images(np.zeros((2, 100, 100))))
    # 40 pixels and 2 on each side, enlarged four times.
    assert [pixels(strip).shape for strip in strips] == [(176, 4 * 176, 3)] * 2


def test_what_the_model_invents_outside_the_head_is_not_cropped_away():
    output = np.zeros((2, 100, 100))
    output[0, 90:98, 40:48] = 1
    for strip in slice_strips(cropped_images(output))[1]:
        # 78 rows and 5 above, none left below.
        assert pixels(strip).shape == (2 * 85, 4 * 2 * 44, 3)
    assert panels(slice_strips(cropped_images(output))[1][0], 4)[1].max() > 240


def test_images_without_a_source_or_a_truth():
    images = example_images(shape=(4, 48, 48))
    for missing in ({"source": None, "source_foreground": None}, {"target": None}):
        _, strips = slice_strips(replace(images, **missing))
        whole = pixels(slice_strips(images)[1][0]).shape[1]
        assert pixels(strips[0]).shape[1] == whole * (3 if "source" in missing else 2) / 4


def test_the_color_scale_goes_from_no_error_to_the_largest():
    colors = error_colors()
    assert (colors[0], colors[-1]) == ("#000004", "#fcffa4")
