"""MONAI takes the bundle."""

import json

import pytest
from example_model.models import DESCRIPTION
from monai.bundle import verify_metadata, verify_net_in_out

from mri_cyclegan.exporting.monai_bundle import metadata

# What MONAI's schema of 2024-07-25 asks of metadata.json, in short: that file is downloaded, and tests need no network.
WORDS, OBJECT = {"type": "string"}, {"type": "object"}
TENSOR = {
    "type": "object",
    "properties": {
        "num_channels": {"type": "integer"},
        "spatial_shape": {"type": "array", "items": {"type": ["string", "integer"]}},
        "value_range": {"type": "array", "items": {"type": "number"}},
        "is_patch_data": {"type": "boolean"},
        "channel_def": OBJECT,
        **dict.fromkeys(("type", "format", "dtype"), WORDS),
    },
    "required": ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range"],
}
PACKAGES = ("monai_version", "pytorch_version", "numpy_version")
SCHEMA = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("schema", "version", "task", "description", "authors", "copyright", *PACKAGES), WORDS),
        **dict.fromkeys(("intended_use", "data_source", "data_type", "image_classes", "pred_classes"), WORDS),
        **dict.fromkeys(("changelog", "required_packages_version", "eval_metrics", "supported_apps"), OBJECT),
        "references": {"type": "array", "items": WORDS},
        "network_data_format": {
            "type": "object",
            "properties": {key: {"type": "object", "additionalProperties": TENSOR} for key in ("inputs", "outputs")},
            "required": ["inputs", "outputs"],
        },
    },
    "required": [
        *("schema", "version", "required_packages_version", "task", "description", "authors", "copyright"),
        *PACKAGES,
        "network_data_format",
    ],
}

EVALUATION = {
    "protocol_version": 1,
    "measured_on": "6",
    "method": "toy",
    "means": {"ab": {"toy": {"psnr": 15.9, "ssim": 0.4}, "copy": {"psnr": 10.6, "ssim": -0.2}}},
    "audits": (),
    "verdict": (),
}


def test_its_metadata_is_verified(model_of, bundle_of, tmp_path):
    bundle = bundle_of(model_of())
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA))
    verify_metadata(meta_file=str(bundle / "configs" / "metadata.json"), filepath=str(schema))
    content = json.loads((bundle / "configs" / "metadata.json").read_text())
    for key in SCHEMA["required"]:
        (tmp_path / "broken.json").write_text(json.dumps({name: content[name] for name in content if name != key}))
        with pytest.raises(ValueError):
            verify_metadata(meta_file=str(tmp_path / "broken.json"), filepath=str(schema))


def test_its_metadata_tells_of_the_model(model_of):
    content = metadata(model_of(description={"evaluation": EVALUATION, "license": "CC0-1.0"}))
    assert content["eval_metrics"] == {"ab": {"psnr": 15.9, "ssim": 0.4}}
    assert content["copyright"] == "License of the model: CC0-1.0"
    assert "mri-cyclegan" in content["required_packages_version"]
    assert "Not for diagnostic use" in content["intended_use"]


@pytest.mark.parametrize("direction", ["ab", "ba"])
def test_its_network_takes_what_its_metadata_says(any_model, bundle_of, direction):
    bundle = bundle_of(any_model)
    verify_net_in_out(
        "network_def",
        meta_file=str(bundle / "configs" / "metadata.json"),
        config_file=str(bundle / "configs" / "inference.json"),
        device="cpu",
        n=2,
        bundle_root=str(bundle),
        direction=direction,
    )


@pytest.mark.parametrize("mark", ["$", "@", "%", "$import os #", "@#####"])
def test_nothing_that_a_model_says_is_evaluated_by_monai(model_of, mark):
    """Monai evaluates what begins with a dollar, and follows references."""
    description = {
        "contrasts": {"a": f"{mark}T1w", "b": f"{mark}T2w"},
        "training": DESCRIPTION["training"] | {"layout": f"{mark}bids"},
        **dict.fromkeys(("intended_use", "license", "code_version"), f"{mark}words"),
        "evaluation": EVALUATION | {"means": {"ab": {"toy": {"psnr": 15.9, "_target_": 1.0, mark: 2.0}}, "ba": {}}},
    }
    content = metadata(model_of(description=description))
    assert [word for word in words_of(content) if word.startswith(("$", "@", "%"))] == []
    assert content["eval_metrics"] == {"ab": {"psnr": 15.9}, "ba": {}}


def words_of(content):
    """Every string in it, keys included."""
    if isinstance(content, dict):
        return [word for pair in content.items() for part in pair for word in words_of(part)]
    if isinstance(content, list):
        return [word for part in content for word in words_of(part)]
    return [content] if isinstance(content, str) else []
