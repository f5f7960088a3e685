"""What a whole volume costs beside its passes through the network."""

import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from bad_inputs.heads import head
from example_model.models import make_model

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc"),
]

# A process of its own, since the largest memory that a process ever took never falls again.
CODE = """
import re, sys, time
from pathlib import Path
from mri_cyclegan.inference.model import load_model
from mri_cyclegan.inference.scan_translator import ScanTranslator
from mri_cyclegan.inference.jobs import Job
from mri_cyclegan.inference.writer import OutputSettings, write_translation


def peak_mib():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024


folder = Path(sys.argv[1])
before_mib, start_s = peak_mib(), time.perf_counter()
translator = ScanTranslator([load_model(folder / "model")])
job = Job(folder / "a_T1w.nii.gz", "a_T1w.nii.gz", "ab", folder / "out.nii.gz")
write_translation(translator(job.source), job, OutputSettings())
total_s = time.perf_counter() - start_s
print(total_s, translator.translators[0].generator_s, peak_mib() - before_mib)
"""


def test_a_volume_costs_little_more_than_its_slices(tmp_path):
    """256 × 256 × 180 voxels, 180 slices of 256 × 256 through the demo's network, files included."""
    array = np.array(head(0, shape=(256, 256, 180)))
    array[array < 60] = 0  # air without noise, so that compressing it takes as long as with most heads
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / "a_T1w.nii.gz")
    make_model(tmp_path / "model", {"base_channels": 32}, image_size=256)
    words = [sys.executable, "-c", CODE, str(tmp_path)]
    result = subprocess.run(words, capture_output=True, text=True, check=True, timeout=600)
    total_s, generator_s, added_mib = map(float, result.stdout.split())
    print(f"{total_s:.1f} s, {total_s / generator_s:.2f} times the network's {generator_s:.1f} s; {added_mib:.0f} MiB")
    assert total_s / generator_s < 1.25
    assert added_mib < 1536
