"""BIDS metadata of the phantom: descriptions of the data set, its derivatives, contrasts and table columns.

The images are written by :mod:`mri_cyclegan.data.phantom`.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

BIDS_VERSION = "1.9.0"
GENERATOR = "mri_cyclegan.data.phantom"
README = """Digital brain phantom: made, not measured. No person lies behind any image.

Anatomies are random deformations of the ICBM152 tissue probability maps that nilearn ships; T1w and T2w follow from the
spin-echo signal equation at 3 T, with a bias field and Rician noise. There is no skull. Training subjects have one
contrast each, the others both, with lesion masks and tissue labels under derivatives.
"""
COLUMNS = {
    "split": {
        "Description": "Part of the data set",
        "Levels": {"train": "Training", "val": "Validation", "test": "Test"},
    },
    "contrasts": {"Description": "Contrasts that the subject has, joined by +"},
    "num_lesion_voxels": {"Description": "Voxels that a white-matter lesion fills at least half of"},
}
DERIVATIVES = {
    "lesions": "White-matter lesions of the phantom: 1 where one fills at least half of a voxel.",
    "tissues": "Commonest tissue of each voxel of the phantom, numbered as in dseg.tsv.",
}


def write_root_files(
    folder: Path, settings: Mapping[str, Any], version: int, sequences: Mapping[str, Mapping[str, float]]
) -> None:
    """Write ``dataset_description.json``, ``README``, ``participants.json``, and a sidecar for each contrast.

    Args:
        folder: folder of the data set.
        settings: settings of the phantom.
        version: version of the phantom.
        sequences: contrast to ``tr_ms`` and ``te_ms``.
    """
    generated = [{"Name": GENERATOR, "Version": str(version), "Settings": dict(settings)}]
    _write_json(folder / "dataset_description.json", _description("Digital brain phantom", generated))
    (folder / "README").write_text(README, encoding="utf-8")
    _write_json(folder / "participants.json", COLUMNS)
    for contrast, times in sequences.items():
        entries = {
            "Description": f"{contrast} image of a digital phantom. Made, not measured.",
            "SkullStripped": True,
            "RepetitionTime": times["tr_ms"] / 1000,
            "EchoTime": times["te_ms"] / 1000,
            "MagneticFieldStrength": 3,
        }
        _write_json(folder / f"{contrast}.json", entries)


def write_phantom_derivatives(folder: Path, version: int, tissues: Sequence[str]) -> None:
    """Write the descriptions of ``derivatives/lesions`` and ``derivatives/tissues``.

    Args:
        folder: folder of the data set.
        version: version of the phantom.
        tissues: tissue of each label, from label 0.
    """
    generated = [{"Name": GENERATOR, "Version": str(version)}]
    for name, meaning in DERIVATIVES.items():
        derivative = folder / "derivatives" / name
        derivative.mkdir(parents=True, exist_ok=True)
        content = _description(meaning, generated) | {"DatasetLinks": {"raw": "../.."}}
        _write_json(derivative / "dataset_description.json", content)
    described = {"Description": DERIVATIVES["lesions"], "Type": "Lesion", "SpatialReference": "orig"}
    _write_json(folder / "derivatives" / "lesions" / "label-lesion_mask.json", described)
    labeled: dict[str, Any] = {"Description": DERIVATIVES["tissues"], "Manual": False, "SpatialReference": "orig"}
    _write_json(folder / "derivatives" / "tissues" / "dseg.json", labeled)
    rows = ["index\tname", *(f"{label}\t{tissue}" for label, tissue in enumerate(tissues))]
    (folder / "derivatives" / "tissues" / "dseg.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _description(name: str, generated: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"Name": name, "BIDSVersion": BIDS_VERSION, "DatasetType": "derivative", "GeneratedBy": list(generated)}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
