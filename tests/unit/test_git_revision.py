import os
import shutil
import subprocess
from time import monotonic

import pytest

from mri_cyclegan import provenance as module
from mri_cyclegan.provenance import git_revision

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No configuration of the user's or the machine's."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))


def git(folder, *words):
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def make_package(folder):
    folder.mkdir(parents=True)
    for name in ("__init__.py", "train.py"):
        (folder / name).write_text("")
    return folder


def commit_all(folder):
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path):
    """A committed checkout, whose name no shell would take as it is."""
    folder = tmp_path / "my; $(touch gone) checkout"
    make_package(folder / "package")
    (folder / "README.md").write_text("read me")
    commit_all(folder)
    return folder


def test_a_clean_checkout_gives_its_commit(checkout):
    expected = {"revision": git(checkout, "rev-parse", "HEAD"), "dirty": False}
    assert git_revision(checkout / "package") == expected
    (checkout / "notes.txt").write_text("not tracked, and no code")
    (checkout / "package" / "__pycache__").mkdir()
    (checkout / "package" / "__pycache__" / "train.pyc").write_text("")
    assert git_revision(checkout / "package") == expected


@pytest.mark.parametrize("changed", ["package/train.py", "README.md", "package/new.py"])
@pytest.mark.parametrize("staged", [False, True])
def test_a_changed_file_of_the_checkout_and_a_new_one_of_the_package_make_it_dirty(checkout, changed, staged):
    (checkout / changed).write_text("changed = True")
    if staged:
        git(checkout, "add", changed)
    assert git_revision(checkout / "package") == {"revision": git(checkout, "rev-parse", "HEAD"), "dirty": True}


def test_an_installed_package_within_a_repository_is_not_its_code(checkout):
    assert git_revision(make_package(checkout / ".venv" / "lib" / "package")) is None


def test_the_repository_one_works_in_is_not_the_code(tmp_path, checkout, monkeypatch):
    revision = git(checkout, "rev-parse", "HEAD")
    study = tmp_path / "study"
    make_package(study / "package")
    commit_all(study)
    monkeypatch.chdir(study)
    assert git_revision(make_package(tmp_path / "site-packages" / "package")) is None
    monkeypatch.setenv("GIT_DIR", str(study / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(study))
    monkeypatch.setenv("GIT_INDEX_FILE", str(study / ".git" / "index"))
    assert git_revision(checkout / "package") == {"revision": revision, "dirty": False}


def test_without_a_commit_there_is_none(tmp_path):
    package = make_package(tmp_path / "new" / "package")
    git(tmp_path / "new", "init", "-q")
    git(tmp_path / "new", "add", ".")
    assert git_revision(package) is None


def test_the_repository_of_another_user_is_not_asked(checkout, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    asked = subprocess.run(["git", "status"], cwd=checkout, capture_output=True, text=True)
    assert "dubious ownership" in asked.stderr
    assert git_revision(checkout / "package") is None


def test_without_git_or_with_a_slow_one_there_is_none(checkout, tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    assert git_revision(checkout / "package") is None
    (programs / "git").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    (programs / "git").chmod(0o755)
    monkeypatch.setattr(module, "GIT_TIMEOUT_S", 0.1)
    start = monotonic()
    assert git_revision(checkout / "package") is None
    assert monotonic() - start < 10


def test_where_only_the_comparison_is_slow_the_commit_is_told(checkout, tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    real = shutil.which("git")
    script = f'#!/bin/sh\nfor word; do [ "$word" = status ] && exec /bin/sleep 60; done\nexec {real} "$@"\n'
    (programs / "git").write_text(script)
    (programs / "git").chmod(0o755)
    revision = git(checkout, "rev-parse", "HEAD")
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(module, "GIT_TIMEOUT_S", 0.5)
    assert git_revision(checkout / "package") == {"revision": revision, "dirty": None}
