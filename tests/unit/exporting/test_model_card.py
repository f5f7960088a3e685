import re

import pytest
import yaml
from example_model.models import DESCRIPTION

from mri_cyclegan.data.transforms import PLANES
from mri_cyclegan.exporting.model_card import model_card
from mri_cyclegan.exporting.usage import bundle_usage, onnx_usage, torch_export_usage

EVALUATION = {
    "protocol_version": 1,
    "measured_on": "6 test subjects, 6 with pairs",
    "method": "toy",
    "means": {
        "ab": {"toy": {"psnr": 15.943, "ssim": 0.3951}, "copy": {"psnr": 10.63, "ssim": -0.16}},
        "ba": {"toy": {"psnr": 16.03, "ssim": None}},
    },
    "audits": (
        {"name": "Lesions", "way": "ab", "level": "red", "figure": "10 of 10 | lost"},
        {"name": "Pairing", "way": None, "level": "green", "figure": "no subject gave\nboth"},
    ),
    "verdict": ("T1w → T2w: above copy in PSNR and SSIM.",),
}


def card_of(model):
    return model_card(model, "onnx", "(usage)")


def section_of(card, title):
    return card.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows_of(card, title):
    """Cells of the tables in a section."""
    lines = [line for line in section_of(card, title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_it_says_what_the_model_is(model_of):
    model = model_of()
    card = card_of(model)
    assert "**Synthetic image made by a neural network. Not for diagnostic use.**" in card
    assert "(usage)" in card
    assert all(digest in card for digest in model.hashes.values())
    assert all(limit in card for limit in model.description.limits)
    rows = rows_of(card, "What it does")
    num_parameters = sum(parameter.numel() for parameter in model.networks["ab"].parameters())
    assert rows[2][:4] == ["`ab`", "T1w", "synthetic T2w", f"UNet, {num_parameters / 1e6:.2f} M"]
    assert rows[3][:3] == ["`ba`", "T2w", "synthetic T1w"]
    assert "depth 2" in rows[2][4]


def test_it_says_what_it_was_trained_on(model_of):
    rows = rows_of(card_of(model_of()), "Training")
    assert rows[2] == ["T1w", "3", "3", "1.00 × 1.00 × 1.00–3.00", "20 to 420"]
    assert rows[3][-1] == "30 to 1030"


def test_it_gives_results_beside_the_references(model_of):
    rows = rows_of(card_of(model_of(description={"evaluation": EVALUATION})), "Results")
    assert rows[0] == ["", "PSNR dB", "SSIM"]
    assert rows[2:4] == [["**toy**", "15.94", "0.395"], ["copy", "10.63", "-0.160"]]
    assert rows[6] == ["**toy**", "16.03", "–"]
    assert rows[-2:] == [
        ["Lesions", "T1w → T2w", "red", "10 of 10 \\| lost"],
        ["Pairing", "both", "green", "no subject gave both"],
    ]


def test_it_names_protocol_and_verdict(model_of):
    card = card_of(model_of(description={"evaluation": EVALUATION}))
    assert "Measured on 6 test subjects, 6 with pairs, in the foreground, by version 1 of" in card
    assert "- T1w → T2w: above copy in PSNR and SSIM." in card


def test_it_says_that_nothing_was_measured(model_of):
    assert "It was not evaluated" in card_of(model_of())


@pytest.mark.parametrize(
    ("plane", "words"),
    [
        ("axial", "from inferior to superior, their rows from anterior to posterior, columns from right to left"),
        ("coronal", "from posterior to anterior, their rows from superior to inferior, columns from right to left"),
        ("sagittal", "from left to right, their rows from superior to inferior, columns from anterior to posterior"),
    ],
)
def test_it_says_how_slices_lie(model_of, plane, words):
    assert plane in PLANES
    assert f"{plane} slices {words}" in card_of(model_of(plane=plane))


@pytest.mark.parametrize(("spacing_mm", "words"), [(2.5, "2.5 mm."), (None, "the longer side of the slice / 16.")])
def test_it_says_how_pixels_are_made(model_of, spacing_mm, words):
    card = card_of(model_of(spacing_mm=spacing_mm))
    assert f"Pixel size: {words}" in card
    assert "to 16 × 16" in card


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("not stated", {"license": "other", "license_name": "not-stated"}),
        ("Ours: ask [first]", {"license": "other", "license_name": "ours:-ask-[first]"}),
    ],
)
def test_its_front_matter_is_yaml(model_of, stated, expected):
    card = card_of(model_of(description={"license": stated, "contrasts": {"a": "PD: x", "b": "FLAIR"}}))
    _, front_matter, _ = card.split("---\n", 2)
    content = yaml.safe_load(front_matter)
    assert {key: value for key, value in content.items() if key.startswith("license")} == expected
    assert content["tags"][-2:] == ["PD: x", "FLAIR"]
    assert content["library_name"] == "onnx"
    assert stated in section_of(card, "License")


@pytest.mark.parametrize("usage", [onnx_usage, torch_export_usage, bundle_usage])
def test_words_of_a_stranger_are_no_html(model_of, usage):
    words = "<script>alert(1)</script>"
    model = model_of(
        description={
            "contrasts": {"a": "<b>T1w", "b": "<i>T2w"},
            "training": DESCRIPTION["training"] | dict.fromkeys(("experiment", "weights", "layout"), words),
            **dict.fromkeys(("license", "intended_use", "code_version"), words),
            "limits": (words,),
            "evaluation": EVALUATION
            | {"measured_on": words, "verdict": (words,), "method": words, "means": {"ab": {words: {"psnr": 1.0}}}},
        }
    )
    card = model_card(model, "onnx", usage(model)).split("---\n", 2)[2]  # less the front matter, which is YAML
    assert re.findall("<(?:script|b|i)>", card) == []
    assert card.count("&lt;script>") >= 8
