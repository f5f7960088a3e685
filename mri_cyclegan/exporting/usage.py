"""Usage sections of an export's model card, with code to run in the folder of the files."""

from mri_cyclegan.directions import DIRECTIONS
from mri_cyclegan.exporting.model_card import escaped
from mri_cyclegan.exporting.parity import depends_on_size, size_multiple, takes_any_size
from mri_cyclegan.exporting.programs import INPUT, OUTPUT
from mri_cyclegan.inference.model import PortableModel
from mri_cyclegan.inference.synthetic_image import PACKAGE


def onnx_usage(model: PortableModel) -> str:
    """Section on translating slices and whole scans with ONNX Runtime."""
    opened = 'session = onnxruntime.InferenceSession("generator_ab.onnx", providers=["CPUExecutionProvider"])'
    of_slices = f"""\
import numpy as np
import onnxruntime

{opened}
slices = np.full({_shape(model)}, -1, dtype=np.float32)  # your prepared slices
(translations,) = session.run(["{OUTPUT}"], {{"{INPUT}": slices}})"""
    called = f'torch.from_numpy(session.run(["{OUTPUT}"], {{"{INPUT}": slices.numpy()}})[0])'
    of_scan = _scan_example(model, "import onnxruntime\nimport torch", opened, called)
    return _program_section(model, "generator_ba.onnx", "ONNX Runtime", of_slices, of_scan)


def torch_export_usage(model: PortableModel) -> str:
    """Section on translating slices and whole scans with PyTorch."""
    opened = 'program = torch.export.load("generator_ab.pt2").module()'
    of_slices = f"""\
import torch

{opened}
slices = torch.full({_shape(model)}, -1.0)  # your prepared slices
with torch.inference_mode():
    translations = program(slices)"""
    of_scan = _scan_example(model, "import torch", opened, "program(slices)")
    usage = _program_section(model, "generator_ba.pt2", "PyTorch", of_slices, of_scan)
    return f"{usage}\n\nPyTorch unpickles parts of such a file: open only files whose origin you trust."


def bundle_usage(model: PortableModel) -> str:
    """Section on translating whole scans with MONAI, or with this package alone."""
    a, b = map(escaped, model.contrasts)
    return f"""\
The bundle needs MONAI's bundle commands and this package, whose code prepares the scans:

    pip install '{PACKAGE}[export]'

In the bundle's folder, for a scan or all scans of a folder:

```bash
python -m monai.bundle run --config_file configs/inference.json \\
    --dataset_dir scan.nii.gz --direction ab --output_dir translations
```

`--direction ab` makes {b} of {a}, `ba` the reverse. `--value_range unit` gives [0, 1], the head's darkest to its
brightest; `reference` the intensities that the training scans of the target contrast typically have. MONAI executes
what stands in `configs/`: run only bundles whose origin you trust.

`models/` alone is data, and can be used without MONAI's commands:

```python
from mri_cyclegan import load_model

image = load_model("models").translate("scan.nii.gz", "ab")
```"""


def _program_section(model: PortableModel, other: str, runtime: str, of_slices: str, of_scan: str) -> str:
    a, b = map(escaped, model.contrasts)
    reach = model.num_adjacent
    channels = f"a slice between its {reach} neighbors on either side" if reach else "a slice"
    varies = all(takes_any_size(model, direction) for direction in DIRECTIONS)
    sides = "may be any" if varies else f"are {model.preprocessing.image_size}"
    return f"""\
The input is (batch, {2 * reach + 1}, height, width) float32 in [-1, 1]: {channels}, prepared as described above.
The output is (batch, 1, height, width) in [-1, 1]. Height and width {sides}.
`generator_ab` makes {b} of {a}; `{other}` is the reverse.

Slices, with {runtime} alone:

```python
{of_slices}
```

A whole scan, its slices prepared and put together by `pip install {PACKAGE}`:

```python
{of_scan}
```"""


def _scan_example(model: PortableModel, imports: str, opened: str, called: str) -> str:
    known = (
        f"network.size_multiple, network.depends_on_size = {size_multiple(model, 'ab')}, {depends_on_size(model, 'ab')}"
    )
    plane, spacing_mm, size = model.preprocessing.plane, model.preprocessing.spacing_mm, model.preprocessing.image_size
    return f"""\
{imports}
from mri_cyclegan.data.intensities import scale_intensities
from mri_cyclegan.data.reading import read_volume
from mri_cyclegan.data.transforms import Preprocessing
from mri_cyclegan.inference.volume_translator import VolumeTranslator

{opened}


def network(slices):
    return {called}


{known}  # so it pads and tiles as the model does
scaled = scale_intensities(read_volume("scan.nii.gz"))
translate = VolumeTranslator({{"ab": network}}, Preprocessing("{plane}", {spacing_mm}, {size}), {model.num_adjacent})
synthetic = translate(scaled, "ab")  # (X, Y, Z) in [0, 1], on the scan's own grid"""


def _shape(model: PortableModel) -> str:
    size = model.preprocessing.image_size
    return f"(4, {2 * model.num_adjacent + 1}, {size}, {size})"
