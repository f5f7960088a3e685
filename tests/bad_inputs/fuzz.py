"""Reads spoiled files in a process of its own, with little memory and little time: ``python -m bad_inputs.fuzz``.

Prints one line of JSON a file: what it was made of, and whether it was read as the standard has it, or refused.
"""

import json
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEMORY_BYTES = 2_000_000_000
SECONDS_A_FILE = 10


class HangError(BaseException):
    """No exception that a reader would catch."""


def stop(*arguments: object) -> None:
    """The alarm's answer."""
    raise HangError


def outcome(check: Callable[[], str]) -> tuple[str, str]:
    """What became of a file, and the details of what should not have."""
    from mri_cyclegan.data.findings import UnfitFile

    signal.setitimer(signal.ITIMER_REAL, SECONDS_A_FILE)
    try:
        return check(), ""
    except UnfitFile as error:
        return "refused", str(error.finding.problem)
    except AssertionError as error:
        return "wrong", str(error)[:2000]
    except (Exception, HangError):
        return "crash", traceback.format_exc()[-2000:]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def nifti_files(folder: Path, count: int) -> Any:
    """Kind, name of the sound file, and check of each."""
    from bad_inputs.fuzz_checks import check_nifti
    from bad_inputs.nifti_mutations import bases, mutant

    sound = bases()
    for number in range(count):
        kind, base, content = mutant(number, sound)
        path = folder / f"scan.nii{'.gz' if base.is_packed else ''}"
        path.write_bytes(content)
        yield kind, base.name, lambda path=path, base=base, kind=kind: check_nifti(path, base, kind)


def png_files(folder: Path, count: int) -> Any:
    """Likewise."""
    from bad_inputs.fuzz_checks import check_png
    from bad_inputs.png_mutations import bases, mutant

    sound = bases()
    for number in range(count):
        kind, name, content = mutant(number, sound)
        path = folder / "slice.png"
        path.write_bytes(content)
        yield kind, name, lambda path=path, content=sound[name], kind=kind: check_png(path, content, kind)


def peak_bytes() -> int:
    """Largest resident size; the system's resource usage would count what the parent had before it started this one."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def main() -> None:
    """Arguments: nifti or png, a folder, how many files."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGALRM, stop)
    files = {"nifti": nifti_files, "png": png_files}[sys.argv[1]]
    for kind, base, check in files(Path(sys.argv[2]), int(sys.argv[3])):
        result, details = outcome(check)
        print(json.dumps({"kind": kind, "base": base, "outcome": result, "details": details}), flush=True)
    print(json.dumps({"peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
