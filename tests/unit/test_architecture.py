"""Imports follow the design's arrows."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mri_cyclegan

ROOT = Path(mri_cyclegan.__file__).parent

# Package to what it may not import at module level.
FORBIDDEN = {
    "networks": ("pytorch_lightning", "monai", "hydra", "omegaconf", "mri_cyclegan.data", "mri_cyclegan.training"),
    "losses": ("pytorch_lightning", "monai", "hydra", "omegaconf", "mri_cyclegan.networks", "mri_cyclegan.training"),
    "runs": ("mri_cyclegan.networks",),
    "data": ("hydra", "omegaconf", "mri_cyclegan.networks", "mri_cyclegan.training", "mri_cyclegan.evaluation"),
    "verification": ("hydra", "omegaconf", "torch", "monai", "pytorch_lightning", "mri_cyclegan.training"),
    "training": ("hydra", "omegaconf", "mri_cyclegan.networks", "mri_cyclegan.data", "mri_cyclegan.inference"),
    "evaluation": ("hydra", "omegaconf", "pytorch_lightning", "mri_cyclegan.training", "mri_cyclegan.networks"),
    "benchmarks": ("hydra", "omegaconf", "mri_cyclegan.networks"),
    "translation": ("hydra", "omegaconf", "pytorch_lightning", "mri_cyclegan.training", "mri_cyclegan.networks"),
    "exporting": ("hydra", "omegaconf", "pytorch_lightning", "mri_cyclegan.training", "mri_cyclegan.networks"),
    "inference": ("hydra", "omegaconf", "pytorch_lightning", "mri_cyclegan.training", "mri_cyclegan.translation"),
}

# What wraps a network of MONAI imports it.
ALLOWED = {"networks/from_monai.py": "monai"}
FILES = [path for package in FORBIDDEN for path in sorted((ROOT / package).rglob("*.py"))]


def imported_names(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    package = path.relative_to(ROOT).parts[0]
    allowed = ALLOWED.get(str(path.relative_to(ROOT)), "/")
    wrong = [
        name for name in imported_names(path) if name.startswith(FORBIDDEN[package]) and not name.startswith(allowed)
    ]
    assert not wrong


def test_a_data_set_is_verified_without_torch():
    """Each of its processes would need seconds and half a gigabyte for it."""
    code = "import sys, mri_cyclegan.verify; sys.exit(any(name in sys.modules for name in ('torch', 'monai')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_only_entry_points_and_configuration_import_hydra():
    using = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if any(name.split(".")[0] == "hydra" for name in imported_names(path))
    }
    assert using == {
        "benchmark.py",
        "configuration/build.py",
        "configuration/hydra_policy.py",
        "configuration/literal_overrides.py",
        "configuration/schema.py",
        "configuration/suggestions.py",
        "runs/job_record.py",
        "runs/resume_hint.py",
        "sweeps/callback.py",
        "train.py",
    }
