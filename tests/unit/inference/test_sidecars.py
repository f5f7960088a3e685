import json

from mri_cyclegan.inference.sidecars import inherited_entries


def test_the_nearest_sidecar_that_applies_wins(tmp_path):
    root = tmp_path / "above" / "raw"
    contents = {
        "above/T1w.json": {"of": "another data set", "Beyond": 1},
        "above/raw/T1w.json": {"of": "root", "Root": 1},
        "above/raw/T2w.json": {"of": "other contrast", "Other": 1},
        "above/raw/notT1w.json": {"of": "other suffix", "Other": 2},
        "above/raw/acq-low_T1w.json": {"of": "other acquisition", "Other": 3},
        "above/raw/sub-01/sub-01_T1w.json": {"of": "subject", "Subject": 1},
        "above/raw/sub-01/anat/sub-01_acq-high_T1w.json": {"of": "scan"},
        "above/raw/sub-01/anat/sub-01_T1w.json": {"of": "less of the name", "Anat": 1},
    }
    for place, content in contents.items():
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    (root / "sub-01" / "T1w.json").write_text("not JSON")
    scan = root / "sub-01" / "anat" / "sub-01_acq-high_T1w.nii.gz"
    assert inherited_entries(scan, root) == {"of": "scan", "Root": 1, "Subject": 1, "Anat": 1}
    assert inherited_entries(root / "sub-02" / "anat" / "sub-02_T1w.nii.gz", root) == {"of": "root", "Root": 1}
