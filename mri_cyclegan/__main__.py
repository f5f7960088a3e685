"""``mri-cyclegan NAME …`` is the same as ``python -m mri_cyclegan.NAME …``."""

import importlib
import sys

COMMANDS = {
    "train": "train a model",
    "verify": "check a data set before training",
    "evaluate": "measure a trained model, with a report",
    "translate": "give scans the other contrast",
    "export": "write a trained model for ONNX, PyTorch or MONAI",
    "benchmark": "measure speed, beside what else there is",
}


def main() -> None:
    """Run the command named by the first argument."""
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name not in COMMANDS:
        listing = "\n".join(f"  {command:<10} {help_text}" for command, help_text in COMMANDS.items())
        print(f"usage: mri-cyclegan COMMAND …\n\n{listing}\n\nSee also mri-cyclegan COMMAND --help.")
        sys.exit(0 if name in ("--help", "-h") else 2)
    sys.argv = [f"mri-cyclegan {name}", *sys.argv[2:]]
    command = importlib.import_module(f"mri_cyclegan.{name}")
    # A training on several devices starts its other ranks by the name of the main module.
    sys.modules["__main__"].__spec__ = command.__spec__
    command.main()


if __name__ == "__main__":
    main()
