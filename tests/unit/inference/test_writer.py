import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from mri_cyclegan.inference import writer
from mri_cyclegan.inference.jobs import Job, sidecar_of
from mri_cyclegan.inference.writer import (
    DATASET_FILE,
    OutputSettings,
    existing_outputs,
    is_generated_file,
    write_dataset_description,
    write_translation,
)


@pytest.fixture
def job(tmp_path):
    return Job(tmp_path / "a_T1w.nii", "a_T1w.nii", "ab", tmp_path / "out" / "a_desc-synth_T2w.nii")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


ALL = ["a_desc-synth_T2w.json", "a_desc-synth_T2w.nii", "a_desc-synthspread_T2w.json", "a_desc-synthspread_T2w.nii"]


def test_the_image_appears_last_and_an_old_one_goes_first(translation, job, monkeypatch):
    """So that wherever it is stopped, an image stands beside its own sidecar, or there is none."""
    events = []
    replace, unlink = Path.replace, Path.unlink
    monkeypatch.setattr(Path, "replace", lambda self, to: (events.append(f"+{to.name}"), replace(self, to)))
    monkeypatch.setattr(Path, "unlink", lambda self, **how: (events.append(f"-{self.name}"), unlink(self, **how)))
    write_translation(translation(), job, OutputSettings())
    assert [event for event in events if event[0] == "+"] == [f"+{ALL[place]}" for place in (0, 2, 3, 1)]
    events.clear()
    write_translation(translation(), job, OutputSettings(overwrite=True))
    assert events == [f"-{ALL[1]}", *(f"+{ALL[place]}" for place in (0, 2, 3, 1))]
    assert sorted(contents(job.target.parent)) == ALL


@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_failure_leaves_what_was_there(translation, job, monkeypatch, fails_at):
    write_translation(translation(), job, OutputSettings())
    before = contents(job.target.parent)
    save, saved = nibabel.save, []

    def full(image, path):
        saved.append(path)
        save(image, path)
        if len(saved) == fails_at:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(nibabel, "save", full)
    with pytest.raises(OSError, match="No space"):
        write_translation(translation((5, 4, 3)), job, OutputSettings(overwrite=True))
    assert contents(job.target.parent) == before
    monkeypatch.setattr(nibabel, "save", lambda image, path: (_ for _ in ()).throw(OSError(28, "No space")))
    shutil.rmtree(job.target.parent)
    with pytest.raises(OSError, match="No space"):
        write_translation(translation(), job, OutputSettings())
    assert contents(job.target.parent) == {}


def test_what_appeared_meanwhile_stays(translation, job):
    job.target.parent.mkdir()
    job.target.write_bytes(b"somebody else's")
    with pytest.raises(FileExistsError, match="a_desc-synth_T2w.nii appeared meanwhile"):
        write_translation(translation(), job, OutputSettings())
    assert contents(job.target.parent) == {job.target.name: b"somebody else's"}


def test_what_is_in_the_way(translation, job):
    assert existing_outputs(job, with_std=True) == []
    write_translation(translation(), job, OutputSettings())
    assert existing_outputs(job, with_std=True) == [job.target]
    job.target.unlink()
    assert existing_outputs(job, with_std=True) == [], "interrupted: the rest is ours"
    sidecar_of(job.std).write_text("[]")
    assert existing_outputs(job, with_std=True) == [job.std, sidecar_of(job.std)]
    assert existing_outputs(job, with_std=False) == []
    sidecar_of(job.target).write_text('{"GeneratedBy": [{"Name": "scanner"}]}')
    assert existing_outputs(job, with_std=False) == [sidecar_of(job.target)]


@pytest.mark.parametrize("content", ["", "[" * 99999, "null", "{}", '{"GeneratedBy": []}', '{"GeneratedBy": ["x"]}'])
def test_what_does_not_say_that_it_is_ours_is_not(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    assert not is_generated_file(tmp_path / "a.json")
    assert not is_generated_file(tmp_path / "nowhere.json")


def test_pictures_have_their_spread_too(translation, job, tmp_path):
    job = Job(job.source, job.place, "ab", tmp_path / "out" / "a_desc-synth_T2w.png")
    write_translation(translation((1, 4, 5)), job, OutputSettings())
    with Image.open(job.target) as picture, Image.open(job.std) as std:
        assert picture.text["Description"].endswith("not for diagnostic use")
        assert std.text["Description"] == "SYNTHETIC T2w from T1w, SD of the output"
        np.testing.assert_allclose(np.asarray(std), np.asarray(picture) / 10, atol=1)


def test_space_is_needed_for_the_spread_too(translation, job, monkeypatch):
    volume = translation((30, 40, 50))
    free = 3 * volume.array.nbytes // 2 + writer.RESERVED_BYTES
    monkeypatch.setattr(writer.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, free))
    write_translation(translation((30, 40, 50), with_std=False), job, OutputSettings())
    with pytest.raises(OSError, match="MB are needed"):
        write_translation(volume, job, OutputSettings(overwrite=True))


def test_a_side_that_nifti_1_cannot_count(translation, job):
    for as_int16 in (False, True):
        write_translation(translation((40_000, 1, 2)), job, OutputSettings(as_int16=as_int16, overwrite=True))
        saved = nibabel.load(job.target)
        assert saved.shape == (40_000, 1, 2)
        assert saved.header["descrip"].item().startswith(b"SYNTHETIC")


def test_the_link_to_the_scans_leads_there_through_links(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "far" / "away" / "place").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away" / "place")
    write_dataset_description(tmp_path / "link" / "out", tmp_path / "raw")
    link = json.loads((tmp_path / "link" / "out" / DATASET_FILE).read_text())["DatasetLinks"]["raw"]
    assert (tmp_path / "link" / "out" / link).resolve() == tmp_path / "raw"
    write_dataset_description(tmp_path / "link" / "out", tmp_path / "raw")  # by another part of the same
