"""Atomic writing of checkpoints."""

from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins import TorchCheckpointIO

from mri_cyclegan.filesystem import atomic_file, escapes


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file in the same folder, syncs it to disk and renames it: all or nothing.

    Lightning writes to the system's temporary folder and moves the file. If that is on another disk, the move is a
    copy, and a full disk would replace a complete checkpoint by half a file.

    Args:
        run_dir: run folder; nothing outside it is removed, whatever paths a loaded checkpoint contains.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Save a checkpoint.

        Args:
            checkpoint: plain data and tensors.
            path: of the file; its folder is created.
            storage_options: ignored.

        Raises:
            OSError: the file cannot be written; an existing file is left unchanged.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with atomic_file(path) as partial, partial.open("wb") as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:
            fault = error if isinstance(error, OSError) else error.__context__  # torch wraps it in a RuntimeError
            if not isinstance(fault, OSError):
                raise
            raise OSError(fault.errno, fault.strerror, str(path)) from error

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a checkpoint file of the run; Lightning would also remove folders and remote paths.

        Args:
            path: of the file; ignored unless it is a file inside the run folder.
        """
        path = Path(path)
        if path.is_file() and not escapes(path, self.run_dir):
            path.unlink()
