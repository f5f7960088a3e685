import os

import pytest

from mri_cyclegan.data import walking
from mri_cyclegan.data.walking import walk


def names(root, findings, **settings):
    return [
        (folder.relative_to(root).as_posix(), [file.name for file in files])
        for folder, files in walk(root, findings, **settings)
    ]


def test_folders_come_sorted_with_their_files_and_without_hidden_ones(tmp_path):
    for name in ("b/2", "b/1", "a/c/3", ".git/4", "a/.hidden", "0"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    findings = []
    assert names(tmp_path, findings) == [(".", ["0"]), ("a", []), ("a/c", ["3"]), ("b", ["1", "2"])]
    assert findings == []


def test_only_asked_for_folders_are_entered(tmp_path):
    for name in ("a/x/1", "b/x/2"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    asked = []

    def enter(parts):
        asked.append(parts)
        return parts[0] == "a"

    assert [folder for folder, _ in names(tmp_path, [], enter=enter)] == [".", "a", "a/x"]
    assert asked == [("a",), ("a", "x"), ("b",)]


def test_links_to_folders_and_files_are_followed(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "scan").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sub").symlink_to(tmp_path / "store")
    (tmp_path / "data" / "file").symlink_to(tmp_path / "store" / "scan")
    assert names(tmp_path / "data", []) == [(".", ["file"]), ("sub", ["scan"])]


def test_a_link_that_leads_back_is_not_followed_and_told(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "back").symlink_to(tmp_path)
    findings = []
    assert names(tmp_path, findings) == [(".", []), ("a", [])]
    (finding,) = findings
    assert (finding.severity, finding.path) == ("warning", tmp_path / "a" / "back")
    assert "leads back" in finding.problem


def test_links_that_lead_nowhere_are_given_as_files(tmp_path):
    (tmp_path / "broken").symlink_to(tmp_path / "nothing")
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    assert names(tmp_path, []) == [(".", ["broken", "itself"])]


def test_a_folder_that_may_not_be_listed_is_an_error_and_the_others_are_walked(tmp_path, monkeypatch):
    for name in ("closed", "open"):
        (tmp_path / name).mkdir()
    scandir = os.scandir

    def guarded(folder):
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(walking.os, "scandir", guarded)
    findings = []
    assert names(tmp_path, findings) == [(".", []), ("open", [])]
    assert [(finding.severity, finding.path.name) for finding in findings] == [("error", "closed")]
    assert "Permission denied" in findings[0].problem


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_closed_folder_is_an_error(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    findings = []
    assert names(tmp_path, findings) == [(".", [])]
    assert [finding.path.name for finding in findings] == ["closed"]
