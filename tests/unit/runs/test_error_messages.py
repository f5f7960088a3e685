import errno
from pathlib import Path

import pytest
from torch.utils.data import DataLoader, Dataset

from mri_cyclegan.runs.error_messages import explain

FOLDERS = {"run_dir": Path("/proc"), "data.root": Path("/")}


class Failing(Dataset):
    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise self.error


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("error", [ValueError("data.root: no\nfolder"), OSError("slices.npy: gone")])
def test_an_error_reads_the_same_from_a_loader_process(num_workers, error):
    with pytest.raises(type(error)) as raised:
        list(DataLoader(Failing(error), num_workers=num_workers))
    assert explain(raised.value, FOLDERS).rstrip(".") == str(error)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EROFS, "Read-only file system", "/x"), "/x: Read-only file system. Give folders that can be"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device. Make room on the disk of run_dir"),
        (OSError(errno.EIO, "Input/output error", "/x"), "/x: Input/output error."),
        (MemoryError("Unable to allocate 3 GiB"), "Memory is full (Unable to allocate 3 GiB). Lower data.num_workers"),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), "A loader process was killed"),
        (RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"), "A loader process was killed"),
        (
            RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error."),
            "Loader processes hand slices over",
        ),
        (
            RuntimeError("unable to allocate shared memory(shm) for file </torch_1_2_3>: No space left on device (28)"),
            "Loader processes hand slices over in shared memory, and there is too little of it. Enlarge /dev/shm",
        ),
    ],
)
def test_a_fault_of_the_machine_is_one_message(error, message):
    assert explain(error, FOLDERS).startswith(message)


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyError("x"), AssertionError()])
def test_what_nobody_foresaw_is_not_explained(error):
    assert explain(error, FOLDERS) is None
