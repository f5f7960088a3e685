import hashlib
import json
import os

import pytest

from mri_cyclegan.data import source_hash
from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.source_hash import SourceHashes, source_bytes


@pytest.fixture
def hashes(tmp_path):
    return SourceHashes(tmp_path / "cache" / "sources")


@pytest.fixture
def settled(monkeypatch):
    """Files count as unchanged from the moment they are written."""
    monkeypatch.setattr(source_hash, "MIN_FILE_AGE_S", -1.0)


@pytest.fixture
def counted(monkeypatch):
    """List of the hashes that were computed."""
    computed, original = [], source_hash._hash

    def count(files):
        computed.append(files)
        return original(files)

    monkeypatch.setattr(source_hash, "_hash", count)
    return computed


def test_a_hash_follows_the_bytes_alone(tmp_path, hashes):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    assert hashes.of(tmp_path / "a") == hashes.of(tmp_path / "b") != hashes.of(tmp_path / "c")
    assert hashes.of(tmp_path / "a") == hashlib.sha256(hashlib.sha256(b"1").digest()).hexdigest()


def test_an_unchanged_file_is_read_once(tmp_path, hashes, settled, counted):
    path = tmp_path / "scan #1 é"
    path.write_bytes(b"1")
    first = hashes.of(path)
    assert SourceHashes(hashes.folder).of(path) == first
    assert len(counted) == 1


@pytest.mark.parametrize("same_time", [False, True])
def test_a_replaced_file_is_read_again_even_with_its_size_and_time_kept(tmp_path, hashes, settled, counted, same_time):
    path = tmp_path / "scan"
    path.write_bytes(b"1")
    os.utime(path, (1e9, 1e9))
    first = hashes.of(path)
    path.write_bytes(b"2")
    if same_time:
        os.utime(path, (1e9, 1e9))
    assert hashes.of(path) != first
    assert len(counted) == 2


def test_a_file_changed_this_moment_is_not_remembered(tmp_path, hashes, counted):
    path = tmp_path / "scan"
    path.write_bytes(b"1")
    hashes.of(path)
    hashes.of(path)
    assert len(counted) == 2
    assert not hashes.folder.exists()


@pytest.mark.parametrize("content", ["", "[]", "{", json.dumps({"signature": []})])
def test_a_damaged_note_is_ignored(tmp_path, hashes, settled, counted, content):
    path = tmp_path / "scan"
    path.write_bytes(b"1")
    first = hashes.of(path)
    (note,) = hashes.folder.iterdir()
    note.write_text(content)
    assert hashes.of(path) == first
    assert len(counted) == 2


def test_a_missing_file_and_a_broken_link_are_refused_by_name(tmp_path, hashes):
    with pytest.raises(UnfitFile, match="gone: cannot be read"):
        hashes.of(tmp_path / "gone")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(UnfitFile, match="link: a link to .*gone, which does not exist"):
        hashes.of(tmp_path / "link")


def test_size_of_files_that_are_there_and_not(tmp_path):
    (tmp_path / "scan").write_bytes(b"123")
    assert source_bytes(tmp_path / "scan") == 3
    assert source_bytes(tmp_path / "gone") == 0


def test_a_hash_that_cannot_be_remembered_is_given_all_the_same(tmp_path, settled, counted):
    (tmp_path / "scan").write_bytes(b"1")
    (tmp_path / "cache").write_bytes(b"a file where the folder should be")
    hashes = SourceHashes(tmp_path / "cache" / "sources")
    assert hashes.of(tmp_path / "scan") == hashes.of(tmp_path / "scan")
    assert len(counted) == 2
