"""Where paths lead in truth."""

import os
from pathlib import Path


def leads_out(path: Path, folder: Path) -> bool:
    """Whether a path in a folder is elsewhere in truth, by a link on the way; it need not be there yet."""
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
