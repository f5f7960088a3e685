"""Trainings as a user starts them, and what becomes of processes."""

import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep


def command(*words):
    """Of a training, for a process."""
    return [sys.executable, "-m", "mri_cyclegan.train", *words]


def start(folder, *words):
    """A training in a folder of its own; its output can be read when it has ended."""
    return subprocess.Popen(command(*words), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(condition, process, timeout_s=240):
    """Wait for something that a process does."""
    end = monotonic() + timeout_s
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert monotonic() < end
        sleep(0.02)


def is_gone(pid):
    """Whether a process has ended, or nobody has asked yet how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
