"""Imports follow the design's arrows."""

import ast
import graphlib
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
    "exporting": ("hydra", "omegaconf", "pytorch_lightning", "mri_cyclegan.training", "mri_cyclegan.networks"),
    "inference": ("hydra", "omegaconf", "pytorch_lightning", "mri_cyclegan.training"),
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


def modules_imported(path, modules):
    """Modules of the package that a module imports, wherever in its code."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in modules or node.module in modules:
                    yield whole if whole in modules else node.module


def circles(arrows):
    """The first circle of arrows there is, in words; empty without one."""
    try:
        tuple(graphlib.TopologicalSorter(arrows).static_order())
    except graphlib.CycleError as error:
        return " → ".join(error.args[1])
    return ""


def test_no_module_and_no_package_imports_itself_in_a_circle():
    """Within functions and for types alone, too."""
    paths = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path for path in ROOT.rglob("*.py")}
    paths = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    arrows = {name: set(modules_imported(path, paths)) - {name} for name, path in paths.items()}
    assert sum(map(len, arrows.values())) > 500, "arrows are seen"
    assert not circles(arrows)
    rooms: dict[str, set[str]] = {}
    for name, imported in arrows.items():
        room = room_of(name)
        rooms.setdefault(room, set()).update({room_of(other) for other in imported} - {room})
    assert not circles(rooms)


def room_of(module):
    """Its package in the first level, or itself."""
    return ".".join(module.split(".")[:2])


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
