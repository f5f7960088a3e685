"""Choice of the compute device."""

import torch


def choose_device(name: str | None) -> torch.device:
    """Return the named device; without a name, a GPU if available, else the CPU.

    Raises:
        ValueError: the device cannot be used.
    """
    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"--device: {name} cannot be used ({reason}). Give cpu, or a device that is here.") from error
    return device
