import os
from pathlib import Path

import pytest

# Two OpenMP threads on a busy two-core machine can be ten times slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real scans, named by MRI_CYCLEGAN_DATA; tests that need it are skipped without it."""
    folder = os.environ.get("MRI_CYCLEGAN_DATA")
    if not folder:
        pytest.skip("MRI_CYCLEGAN_DATA is not set")
    if not Path(folder).is_dir():
        pytest.fail(f"MRI_CYCLEGAN_DATA={folder} is not a folder")
    return Path(folder)
