"""Steps of a MONAI bundle's ``inference.json``: preprocessing, inference and postprocessing.

They exchange only tensors and strings, which survive MONAI's collating and decollating.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.transforms import Transform
from torch import Tensor

from mri_cyclegan.data.findings import UnfitFile
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.inference.jobs import Job, plan
from mri_cyclegan.inference.model import PortableModel
from mri_cyclegan.inference.scan_translator import ScanTranslator
from mri_cyclegan.inference.volume_translator import VolumeTranslator
from mri_cyclegan.inference.writer import OutputSettings, write_translation


def datalist(model: PortableModel, direction: str, dataset_dir: str, output_dir: str) -> list[dict[str, str]]:
    """List the scans to translate, each with ``image``, ``place``, ``target`` and ``doubt`` (the job's warning).

    Args:
        model: model that will translate them.
        direction: ``"ab"`` or ``"ba"``; scans named after the other contrast are skipped.
        dataset_dir: a scan, or a folder of scans.
        output_dir: folder of the translations.

    Raises:
        ValueError: there is nothing to translate, or outputs would overwrite each other.
    """
    source, output = Path(dataset_dir).expanduser(), Path(output_dir).expanduser()
    jobs = plan(source, output, model.contrasts, direction).jobs
    return [
        {"image": str(job.source), "place": job.place, "target": str(job.target), "doubt": job.warning} for job in jobs
    ]


class PrepareScan(Transform):
    """Read a scan and slice it with the model's own preprocessing.

    Args:
        model: model whose preprocessing is used.
    """

    def __init__(self, model: PortableModel) -> None:
        self.preprocessing = model.preprocessing

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Replace the path in ``image`` by slices, (1, N, H, W) in [-1, 1], and keep the path as ``source``.

        Raises:
            UnfitFile: the file is missing, broken, or not one gray 3-D image.
        """
        path = Path(data["image"])
        volume = read_volume(path)
        try:
            prepared = self.preprocessing(volume)
        except ValueError as error:
            raise UnfitFile(path, str(error), "Leave it out.") from error
        affine = torch.tensor(prepared.record["affine"], dtype=torch.float64)
        image = MetaTensor(torch.from_numpy(prepared.slices)[None], affine=affine)
        return {**data, "image": image, "source": str(path)}


class VolumeInferer(Inferer):
    """Run a network on slices and their neighbors, batch by batch.

    Args:
        model: model that the network belongs to.
    """

    def __init__(self, model: PortableModel) -> None:
        super().__init__()
        self.model = model

    def __call__(self, inputs: Tensor, network: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Map (B, 1, N, H, W) to the same shape, both in [-1, 1]."""
        model = self.model
        settings = (model.preprocessing, model.num_adjacent, inputs.device, model.slice_bytes)
        translator = VolumeTranslator({"": network}, *settings)
        outputs = [translator.translate_slices(image[0].cpu().numpy(), "") for image in inputs]
        return torch.from_numpy(np.stack(outputs)[:, None])


class SaveTranslation(Transform):
    """Write translated slices as an image on the scan's grid, marked as synthetic, with a sidecar.

    Args:
        model: model that translated the slices.
        direction: ``"ab"`` or ``"ba"``.
        value_range: ``"unit"`` or ``"reference"``, see
            :meth:`mri_cyclegan.inference.model.PortableModel.translate`.
    """

    def __init__(self, model: PortableModel, direction: str, value_range: str) -> None:
        self.model = model
        self.direction = direction
        self.settings = OutputSettings(value_range, overwrite=True)  # as MONAI's own transforms do

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Write ``pred``, (1, N, H, W) in [-1, 1], to ``target``.

        The usual scan translator runs with a :class:`PrecomputedTranslator`, which returns these slices instead of
        running the network. Reading the scan again takes seconds, but all translations are assembled by the same code.
        """
        translator = ScanTranslator([self.model])
        translator.translators = [PrecomputedTranslator(self.model, data["pred"][0].cpu().numpy())]
        translation = translator(data["source"], self.direction)
        job = Job(Path(data["source"]), data["place"], self.direction, Path(data["target"]), data["doubt"])
        write_translation(translation, job, self.settings)
        return dict(data)


class PrecomputedTranslator(VolumeTranslator):
    """A volume translator that returns already translated slices.

    Args:
        model: model that translated them.
        slices: all translated slices of the scan, (N, H, W) float32, in [-1, 1].
    """

    def __init__(self, model: PortableModel, slices: np.ndarray) -> None:
        super().__init__({}, model.preprocessing)
        self.translated = slices

    def translate_slices(self, slices: np.ndarray, direction: str) -> np.ndarray:
        """Return the already translated slices."""
        return self.translated
