import subprocess
import sys
import time

from commands import is_gone

# Starts a child that watches it, prints the child's number and waits.
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(99)
"""
CHILD = """
import os, signal, sys, time
from mri_cyclegan.distributed import exit_with_parent
def leave(*_):
    open({path!r}, "w").write("left in order")
    os._exit(0)
signal.signal(signal.SIGTERM, leave)
exit_with_parent(os.getppid(), signal.{name})
print("watching", flush=True)
while True:
    time.sleep(0.05)
"""


def gone(pid, timeout_s=20):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if is_gone(pid):
            return True
        time.sleep(0.05)
    return False


def run_and_kill_parent(path, name):
    code = CHILD.format(path=str(path), name=name)
    with subprocess.Popen([sys.executable, "-c", PARENT, code], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        assert not gone(child, timeout_s=1), "its parent is alive"
        parent.kill()
        parent.wait()
    return child


def test_it_ends_with_a_parent_that_was_killed(tmp_path):
    assert gone(run_and_kill_parent(tmp_path / "note", "SIGKILL"))
    assert not (tmp_path / "note").exists()


def test_it_may_end_in_order(tmp_path):
    assert gone(run_and_kill_parent(tmp_path / "note", "SIGTERM"))
    assert (tmp_path / "note").read_text() == "left in order"
