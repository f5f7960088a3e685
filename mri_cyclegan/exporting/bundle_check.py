"""Check that a MONAI bundle meets MONAI's requirements and reproduces the model's outputs."""

import logging
import tempfile
from pathlib import Path

import nibabel
import numpy as np
from monai.bundle import ConfigWorkflow

from mri_cyclegan.data.formats.nifti import write_volume
from mri_cyclegan.directions import DIRECTIONS
from mri_cyclegan.exporting.parity import NUM_SLICES, OutputDifference, head_volume
from mri_cyclegan.inference.model import PortableModel


def check_bundle(model: PortableModel, folder: Path) -> dict[str, OutputDifference]:
    """Run a bundle on a few slices of a phantom head and compare it with the model.

    Returns:
        Direction to the largest difference between the bundle's file and the model's own translation.

    Raises:
        ValueError: properties that MONAI requires are missing, or the files' headers differ.
    """
    differences = {}
    with tempfile.TemporaryDirectory() as scratch:
        for direction in DIRECTIONS:
            scan = Path(scratch, direction, "head.nii")
            scan.parent.mkdir()
            volume = head_volume(direction)
            middle = volume.array.shape[2] // 2
            write_volume(scan, volume.array[:, :, middle : middle + NUM_SLICES], volume.affine)
            made, expected = _run(folder, direction, scan), model.translate(scan, direction)
            if made.header != expected.header:
                raise ValueError(f"monai_bundle: {direction} gives another header than the model. Report it as a bug.")
            differences[direction] = OutputDifference(float(np.abs(made.get_fdata() - expected.get_fdata()).max()))
    return differences


def _run(folder: Path, direction: str, scan: Path) -> nibabel.Nifti1Image:
    """Translate one scan with a bundle."""
    output = scan.parent / "translations"
    logging.getLogger(ConfigWorkflow.__module__).setLevel(logging.ERROR)  # it warns about logging_file=False
    workflow = ConfigWorkflow(
        str(folder / "configs" / "inference.json"),
        workflow_type="infer",
        logging_file=False,
        bundle_root=str(folder),
        dataset_dir=str(scan),
        output_dir=str(output),
        direction=direction,
        device="$torch.device('cpu')",
    )
    workflow.initialize()
    missing = workflow.check_properties()
    if missing:
        raise ValueError(f"monai_bundle: this version of MONAI asks for {', '.join(missing)}. Use the one tested with.")
    workflow.evaluator.run()
    (made,) = output.glob("*.nii")
    return nibabel.Nifti1Image.from_filename(made)
