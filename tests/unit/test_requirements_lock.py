import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKED_EXTRAS = ("dicom", "export", "register", "optuna", "joblib", "submitit", "test", "dev")

# The first versions without known vulnerabilities.
FLOORS = {
    "torch": "2.11",
    "pytorch-lightning": "2.6.6",
    "monai": "1.6.1",
    "hydra-core": "1.3.8",
    "pydicom": "3.0.2",
    "pillow": "12.3",
    "onnx": "1.21",
}


def read_entries(lock):
    """Pairs of a requirement and its options, ``hash=…``; a line of another kind, as of an index, raises."""
    lines = [line for line in lock.splitlines() if re.match(r"\s*[^\s#]", line)]
    entries = [line.partition(" --") for line in re.sub(r" *\\\n *", " ", "\n".join(lines)).splitlines()]
    return [(Requirement(requirement), options.split(" --")) for requirement, _, options in entries]


ENTRIES = read_entries(LOCK)
DECLARED = [
    requirement
    for group in (PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in LOCKED_EXTRAS))
    for requirement in map(Requirement, group)
    if requirement.name != PROJECT["name"]
]


def locked(name):
    return [requirement for requirement, _ in ENTRIES if requirement.name == canonicalize_name(name)]


def pinned_version(requirement):
    (pin,) = requirement.specifier
    return Version(pin.version)


@pytest.mark.parametrize("declared", DECLARED, ids=str)
def test_a_dependency_is_locked_at_a_version_that_the_project_allows(declared):
    assert locked(declared.name)
    assert all(declared.specifier.contains(pinned_version(requirement)) for requirement in locked(declared.name))


@pytest.mark.parametrize("name", sorted({declared.name for declared in DECLARED}))
def test_one_version_of_a_dependency_is_for_this_python(name):
    assert sum(entry.marker is None or entry.marker.evaluate() for entry in locked(name)) == 1


def test_every_extra_but_that_for_ray_is_locked():
    assert set(PROJECT["optional-dependencies"]) - set(LOCKED_EXTRAS) == {"ray"}


def test_every_entry_is_one_exact_version_with_its_hashes():
    for requirement, options in ENTRIES:
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert all(re.fullmatch(r"hash=sha256:[0-9a-f]{64}", option) for option in options), requirement


@pytest.mark.parametrize("name", FLOORS)
def test_no_version_with_a_known_vulnerability_is_locked_or_allowed(name):
    floor = Version(FLOORS[name])
    allowed = [declared.specifier for declared in DECLARED if declared.name == name]
    assert allowed
    for specifier in allowed:
        assert any(part.operator == ">=" and Version(part.version) >= floor for part in specifier), specifier
    assert all(pinned_version(requirement) >= floor for requirement in locked(name))


def test_the_lock_names_no_index_no_path_and_not_the_project_itself():
    assert "/" not in LOCK
    assert not locked(PROJECT["name"])


def test_entries_are_read_with_their_markers_and_hashes():
    lock = "# by make\na==1 ; python_version < '3.12' \\\n    --hash=sha256:0 \\\n    --hash=sha256:1\n    # via b\n"
    ((requirement, options),) = read_entries(lock)
    assert str(requirement) == 'a==1; python_version < "3.12"'
    assert options == ["hash=sha256:0", "hash=sha256:1"]
