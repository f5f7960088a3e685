"""Plausible content of metrics.json, made without evaluating anything."""

import numpy as np

CONTRASTS = {"a": "T1w", "b": "T2w"}
DIRECTIONS = {"ab": ["T1w", "T2w"], "ba": ["T2w", "T1w"]}

# label, unit, higher is better, digits, then mean and standard deviation over subjects of each method
METRICS = {
    "psnr": ("PSNR", "dB", True, 2, (22.4, 10.9, 16.1, 17.8, 23.1), 1.1),
    "ssim": ("SSIM", "", True, 3, (0.741, -0.112, 0.402, 0.523, 0.788), 0.04),
    "ms_ssim": ("MS-SSIM", "", True, 3, (0.872, 0.214, 0.561, 0.688, 0.901), 0.03),
    "mae": ("MAE", "", False, 4, (0.0561, 0.2431, 0.1212, 0.0973, 0.0522), 0.006),
    "nmse": ("NMSE", "", False, 4, (0.0312, 0.4127, 0.1291, 0.0934, 0.0271), 0.005),
    "nmi": ("NMI", "", True, 3, (1.243, 1.201, 1.094, 1.201, 1.288), 0.02),
}
METHODS = ["CycleGAN", "copy", "mean image", "histogram matching", "oracle look-up table"]
TISSUES = {"gm": (0.61, -0.022), "wm": (0.42, 0.011), "csf": (0.94, -0.051)}


def example_evaluation(num_subjects=20, directions=("ab", "ba"), paired=True, seed=0):
    random = np.random.default_rng(seed)
    subjects = [
        {
            "subject": f"sub-{number + 21:03d}",
            "session": "",
            "ways": {direction: measured_subject(random, direction, paired, number) for direction in directions},
        }
        for number in range(num_subjects)
    ]
    return {
        "protocol_version": 1,
        "title": "baseline",
        "created": "2026-11-24T15:30:00",
        "contrasts": CONTRASTS,
        "directions": {direction: DIRECTIONS[direction] for direction in directions},
        "part": "test",
        "chose_epoch": [],
        "plane": "axial",
        "resampled_targets": False,
        "method": METHODS[0],
        "methods": METHODS,
        "metrics": {
            name: {"label": label, "unit": unit, "higher_is_better": higher, "digits": digits}
            for name, (label, unit, higher, digits, _, _) in METRICS.items()
        },
        "verdict": [verdict(*DIRECTIONS[direction], paired) for direction in directions],
        "summary": {direction: summary(subjects, direction) if paired else {} for direction in directions},
        "subjects": subjects,
        "unpaired": {direction: unpaired(num_subjects) for direction in directions},
        "audits": [audit for direction in directions for audit in audits(direction)] + run_audits(),
        "uncertainty": {"kind": "ensemble of 3 runs"} | {direction: uncertainty() for direction in directions}
        if paired
        else None,
        "warnings": ["2 of 20 subjects look unlike the training data; see the notes beside them."],
        "provenance": {
            "code_version": "0.1.0",
            "model_sha256": dict.fromkeys(directions, "3f1c9d" * 10 + "beef"),
            "weights": "best epoch on validation, 87",
            "training": {
                "experiment": "baseline",
                "seed": 0,
                "max_epochs": 200,
                "lambda_cycle": 10.0,
                "betas": [0.5, 0.999],
            },
            "command": "python -m mri_cyclegan.evaluate outputs/train/baseline/2026-11-23_18-00-00",
            "versions": {"torch": "2.15.0", "monai": "1.6.1"},
            "num_threads": 1,
        },
    }


def measured_subject(random, direction, paired, number):
    # Subjects that are hard for one method are hard for all of them.
    hardness = random.normal()
    metrics = {
        method: {
            region: {
                name: (means[row] - 0.7 * (1 if higher else -1) * spread * (hardness + random.normal(0, 0.6)))
                * (1 if region == "foreground" else 1.05 if higher else 0.4)
                for name, (_, _, higher, _, means, spread) in METRICS.items()
            }
            for region in ("foreground", "whole")
        }
        for row, method in enumerate(METHODS)
    }
    tissues = {}
    for name, (mean, bias) in TISSUES.items():
        target = mean + random.normal(0, 0.025)
        tissues[name] = {"target": target, "output": target + bias + random.normal(0, 0.018)}
    return {
        "metrics": metrics if paired else {},
        "num_scales": 5 if paired else None,
        "tissues": tissues if paired else {},
        "out_of_domain": ["intensity histogram: distance 0.11, at most 0.05 in training"] * (number in (3, 11)),
        "seconds": {"generator": 1.2, "total": 3.4 + random.uniform(0, 0.5)},
    }


def summary(subjects, direction):
    shown = {}
    for method in METHODS:
        shown[method] = {}
        for region in ("foreground", "whole"):
            shown[method][region] = {}
            for name, (_, _, higher, _, _, _) in METRICS.items():
                values = np.array([subject["ways"][direction]["metrics"][method][region][name] for subject in subjects])
                error = values.std() / len(values) ** 0.5
                shown[method][region][name] = {
                    "mean": values.mean(),
                    "sd": values.std(ddof=1) if len(values) > 1 else None,
                    "median": np.median(values),
                    "worst": values.min() if higher else values.max(),
                    "low": values.mean() - 1.96 * error if len(values) > 1 else None,
                    "high": values.mean() + 1.96 * error if len(values) > 1 else None,
                }
    return shown


def verdict(source, target, paired):
    if not paired:
        return f"{source} → {target}: no pairs, so nothing can be said about accuracy; 2 of 5 audits ask for attention."
    return (
        f"{source} → {target}: above copy, mean image and histogram matching in PSNR and SSIM; "
        "SSIM 0.047 below what a voxel-wise look-up table reaches at best."
    )


def unpaired(num_subjects):
    matching = {"accuracy": 0.95, "chance": 1 / num_subjects, "num_subjects": num_subjects}
    return {"wasserstein": 0.0312, "spectrum_distance": 2.41, "subject_matching": matching, "fid": None}


def audits(direction):
    def audit(name, level, figure, meaning):
        return {"name": name, "way": direction, "level": level, "figure": figure, "meaning": meaning, "values": {}}

    lesions = "red" if direction == "ab" else "unknown"
    return [
        audit("Copying", "green", "SSIM to source −0.09, to truth 0.74", "The output looks like its target contrast."),
        audit(
            "Hidden code",
            "amber",
            "cycle PSNR 31.2 dB; 27.9 dB after 8 bits, 24.8 dB after blur, 26.0 dB after noise",
            "Part of the way back relies on detail too faint to see. Lower lambda_cycle, or add noise.",
        ),
        audit("Slice consistency", "green", "1.07 times the real slices' change", "Neighboring slices fit together."),
        audit("Contrast inversion", "green", "rank correlation 1.00", "Tissues are ordered as in the truth."),
        audit(
            "Lesions",
            lesions,
            "31 % of 42 lesions lost; 3.2 invented bright regions per 100 ml"
            if direction == "ab"
            else "no lesion masks",
            "Lesions of the source are smoothed away. Do not use these outputs to look for lesions."
            if direction == "ab"
            else "Put masks beside the scans to measure it.",
        ),
    ]


def run_audits():
    return [
        {
            "name": "Not paired",
            "way": None,
            "level": "green",
            "figure": "40 and 40 subjects, none in both",
            "meaning": "Training saw no pair.",
            "values": {"overlap": 0},
        }
    ]


def uncertainty():
    spreads = np.linspace(0.01, 0.12, 10)
    points = [{"spread": float(s), "error": float(0.015 + 0.75 * s - 1.5 * s**2), "share": 0.1} for s in spreads]
    return {"spearman": 0.58, "calibration": points}


def example_history(num_epochs=30, seed=0):
    # Where each curve ends, how far from that it starts, and how noisy it is.
    curves = {
        **{f"loss/adversarial_{direction}": (0.4, 0.5, 0.03) for direction in DIRECTIONS},
        **{f"loss/{part}_{side}": (0.05, 0.3, 0.01) for part in ("cycle", "identity") for side in "ab"},
        **{f"loss/discriminator_{side}": (0.22, 0.1, 0.02) for side in "ab"},
        **{f"val/psnr_{direction}": (22, -6, 0.2) for direction in DIRECTIONS},
        **{f"val/ssim_{direction}": (0.74, -0.4, 0.02) for direction in DIRECTIONS},
    }
    random = np.random.default_rng(seed)
    return [
        {"epoch": float(epoch)}
        | {name: end + far * np.exp(-epoch / 6) + random.normal(0, noise) for name, (end, far, noise) in curves.items()}
        for epoch in range(num_epochs)
    ]
