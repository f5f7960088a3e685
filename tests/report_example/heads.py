"""Head-like images in two contrasts, with an output that is nearly the second."""

import numpy as np
from scipy import ndimage

from mri_cyclegan.evaluation.report.cases import Case, slice_strips
from mri_cyclegan.evaluation.subjects.images import SubjectImages


def example_images(subject="sub-021", shape=(30, 64, 64), spacing_mm=(1.0, 1.0, 1.0), paired=True, seed=0):
    """Nested folded ellipsoids: a rim, gray and white matter, ventricles."""
    random = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.linspace(-1, 1, size) for size in shape], indexing="ij")
    radius = np.sqrt(sum((axis / size) ** 2 for axis, size in zip(axes, (1.0, 0.9, 0.72))))
    folds = ndimage.gaussian_filter(random.normal(size=shape), min(shape) / 40)
    radius = radius + 0.08 * folds / folds.std() * (radius > 0.3)
    tissue = np.digitize(radius, [0.22, 0.68, 0.86, 0.9, 1.0])  # fluid, white, gray, fluid, rim, air
    source = np.array([0.2, 0.85, 0.6, 0.2, 0.95, 0.0])[tissue]
    target = np.array([0.98, 0.4, 0.6, 0.95, 0.5, 0.0])[tissue]
    noise = random.normal(0, 0.03, (3, *shape))
    output = ndimage.gaussian_filter(target, 0.8) * 0.93 + 0.1 * (tissue == 1) * (axes[2] > 0.2)
    images = [np.clip(image + extra, 0, 1).astype(np.float32) for image, extra in zip((source, output, target), noise)]
    foreground = tissue < 5
    return SubjectImages(
        subject, images[0], images[1], images[2] if paired else None, foreground, foreground, spacing_mm
    )


def example_cases(direction="ab", paired=True, max_slices=5, **of_images):
    """Worst, median and best."""
    cases = []
    for number, label in enumerate(["worst", "median", "best"]):
        images = example_images(f"sub-{number + 21:03d}", paired=paired, seed=number, **of_images)
        numbers, strips = slice_strips(images, max_slices)
        cases.append(Case(label, images.subject, 0.6 + 0.1 * number if paired else None, numbers, strips))
    return cases
