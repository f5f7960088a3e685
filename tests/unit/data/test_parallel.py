import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mri_cyclegan.data.parallel import available_processes, map_in_processes


def square(number: int) -> tuple[int, int]:
    return number**2, os.getpid()


def die_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def nobody_dies(number: int) -> int:
    raise AssertionError(f"{number} was alive")


@pytest.mark.parametrize("num_processes", [1, 2])
def test_results_come_in_the_order_of_the_items(num_processes):
    results = map_in_processes(square, range(7), num_processes, "Squaring", nobody_dies)
    assert [result for result, _ in results] == [number**2 for number in range(7)]
    assert (os.getpid() in {process for _, process in results}) == (num_processes == 1)


def test_an_item_whose_process_is_killed_gets_its_own_result_and_the_others_theirs():
    assert map_in_processes(die_at_three, range(6), 2, "Dying", lambda number: -number) == [0, 1, 2, -3, 4, 5]


def test_nothing_to_do_is_done():
    assert map_in_processes(square, [], 2, "Squaring", nobody_dies) == []


def test_workers_end_with_a_killed_parent(tmp_path):
    code = (
        "import os, time\n"
        "from pathlib import Path\n"
        "from mri_cyclegan.data.parallel import map_in_processes\n"
        "def work(folder):\n"
        "    Path(folder, str(os.getpid())).touch()\n"
        "    time.sleep(60)\n"
        f"map_in_processes(work, [{str(tmp_path)!r}] * 2, 2, '', None)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    workers = [int(path.name) for path in tmp_path.iterdir()]
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    while any(is_running(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(is_running(worker) for worker in workers)


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_processes_are_as_asked_or_one_a_core_up_to_eight():
    assert available_processes(3) == 3
    assert 1 <= available_processes(None) <= 8
    with pytest.raises(ValueError, match=r"data\.num_processes: expected at least 1, or null; got 0"):
        available_processes(0)
