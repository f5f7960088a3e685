"""Whether a change moves a number: every experiment trained for two epochs at toy size, float32, one thread, seed 0.

Run it in two checkouts on one machine, since another processor or torch rounds otherwise, and compare:

    OMP_NUM_THREADS=1 python tests/golden.py /tmp/before
    OMP_NUM_THREADS=1 python tests/golden.py /tmp/after
    diff -r /tmp/before /tmp/after
"""

import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

EXPERIMENTS = sorted(path.stem for path in (Path(__file__).parents[1] / "conf" / "experiment").glob("*.yaml"))
TOY = [
    "trainer=cpu",
    "trainer.precision=32-true",
    "trainer.max_epochs=2",
    "trainer.limit_train_batches=3",
    "trainer.log_every_n_steps=1",
    "data.spacing_mm=8",
    "data.image_size=32",
    "data.batch_size=2",
    "data.num_workers=0",
    "data.phantom.spacing_mm=8",
    "data.phantom.num_train=4",
    "data.phantom.num_val=2",
    "data.phantom.num_test=2",
    "discriminator.base_channels=4",
    "discriminator.num_layers=1",
]
UNET = ["generator.base_channels=4", "generator.depth=2"]
RESNET = ["generator.base_channels=4", "generator.num_blocks=2"]
TRANSFORMER = [*UNET, "generator.num_blocks=1", "generator.embedding=8", "generator.num_heads=2"]
SMALL = {
    "cut": [*RESNET, "extra_loss.nce.num_patches=16"],
    "cyclegan_resnet9": RESNET,
    "reggan": [
        *RESNET,
        "extra_loss.paired.registration_a.base_channels=4",
        "extra_loss.paired.registration_b.base_channels=4",
    ],
    "supervised": [*UNET, "data.phantom.paired_training=true"],
    "uvcgan": TRANSFORMER,
}


def is_time(key: str) -> bool:
    """Whether a column or key holds a duration, which no two runs share."""
    return key.startswith("time/") or key.endswith("_s")


def keep(run_dir: Path, folder: Path) -> None:
    """Write a run's numbers, without durations."""
    folder.mkdir(parents=True)
    with (run_dir / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [",".join(f"{key}={row[key]}" for key in sorted(row) if row[key] and not is_time(key)) for row in rows]
    (folder / "metrics.txt").write_text("\n".join(lines) + "\n")
    summary = json.loads((run_dir / "summary.json").read_text())
    summary = {key: value for key, value in summary.items() if not is_time(key)}
    (folder / "summary.json").write_text(json.dumps(summary, indent=1, sort_keys=True) + "\n")


def main(output: Path, experiments: list[str]) -> None:
    """Train them and write one folder each."""
    with tempfile.TemporaryDirectory() as place:
        for name in experiments:
            small = [*TOY, *SMALL.get(name, UNET)]
            words = [f"data.root={place}/phantom", f"data.cache_root={place}/cache", f"hydra.run.dir={place}/{name}"]
            command = [sys.executable, "-m", "mri_cyclegan.train", f"+experiment={name}", *small, *words]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"{name}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
            keep(Path(place) / name, output / name)
            print(name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] or EXPERIMENTS)
