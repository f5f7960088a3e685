"""Imports follow the design's arrows."""

import ast
import graphlib
import re
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


@pytest.fixture(scope="module")
def module_arrows():
    """Module to the modules that it imports, within functions and for types alone, too."""
    paths = {".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path for path in ROOT.rglob("*.py")}
    paths = {name.removesuffix(".__init__"): path for name, path in paths.items()}
    arrows = {name: set(modules_imported(path, paths)) - {name} for name, path in paths.items()}
    assert sum(map(len, arrows.values())) > 500, "arrows are seen"
    return arrows


@pytest.fixture(scope="module")
def package_arrows(module_arrows):
    """The same between packages and modules of the first level."""
    arrows: dict[str, set[str]] = {}
    for name, imported in module_arrows.items():
        package = package_of(name)
        arrows.setdefault(package, set()).update({package_of(other) for other in imported} - {package})
    return arrows


def package_of(module):
    """Its package in the first level, or itself."""
    return ".".join(module.split(".")[:2]).removeprefix("mri_cyclegan.")


def test_no_module_and_no_package_imports_itself_in_a_circle(module_arrows, package_arrows):
    assert not circles(module_arrows)
    assert not circles(package_arrows)


def test_packages_import_what_the_design_says(package_arrows):
    """``docs/design.md`` has a table of them; small modules, which import nothing but each other, are not in it."""
    design = (ROOT.parent / "docs" / "design.md").read_text(encoding="utf-8")
    (small,) = re.findall(r"Small modules \((.*?)\)", design, re.DOTALL)
    small = set(re.findall(r"`(\w+)`", small))
    rows = re.findall(r"^\| `(\w+)` \| .* \|(.*)\|$", design, re.MULTILINE)
    expected = {name: {part.strip() for part in imports.split(",") if part.strip()} for name, imports in rows}
    assert all(package_arrows[name] <= small for name in small)
    found = {
        name: imported - small
        for name, imported in package_arrows.items()
        if name not in small | {"mri_cyclegan", "__main__"}
    }
    assert found == expected


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
