"""How a checkpoint gets to the disk."""

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins import TorchCheckpointIO

from mri_cyclegan.filesystem import atomic_file, escapes


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, forces it to disk and renames it: whole or not at all.

    Lightning alone writes to the folder of temporary files and moves it, which is a copy where that is another disk: a
    disk that fills up meanwhile would leave half a file in the place of a whole one.

    Args:
        run_dir: of the run; nothing outside of it is removed, whatever a checkpoint says that was read.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Save.

        Args:
            checkpoint: plain data and tensors.
            path: of the file; its folder is made.
            storage_options: none.

        Raises:
            OSError: it cannot be written; what was there is still there.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with atomic_file(path) as partial, partial.open("wb") as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:
            fault = error if isinstance(error, OSError) else error.__context__  # torch hides it behind one of its own
            if not isinstance(fault, OSError):
                raise
            raise OSError(fault.errno, fault.strerror, str(path)) from error

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a file of the run. Lightning alone removes folders, too, and what other programs' addresses name.

        Args:
            path: of the file; where it is none of the run's, nothing happens.
        """
        path = Path(path)
        if path.is_file() and not escapes(path, self.run_dir):
            path.unlink()
