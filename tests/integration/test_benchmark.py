"""The benchmark as a user types it, at toy size: what it writes, not how fast this machine is."""

import json

import pytest
from PIL import Image

CONTENDERS = {"ours, raw from disk", "ours, augmented on the CPU", "MONAI, raw from memory", "MONAI, augmented"}
TOY_LOADER = [
    "loader.image_size=32",
    "loader.batch_size=2",
    "loader.num_slices=48",
    "loader.repeats=2",
    "loader.device_step_ms=[1,3]",
]


def test_the_loader_is_measured_beside_monais(tmp_path, run_benchmark):
    result = run_benchmark("part=loader", *TOY_LOADER, "loader.num_workers=[0,1]", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    (folder,) = tmp_path.glob("outputs/benchmark/*")
    written = json.loads((folder / "loader.json").read_text())
    assert written["machine"]["num_threads"] >= 1
    assert written["machine"]["num_cores"] >= 1
    speeds, best = written["slices_per_s"], written["best_num_workers"]
    assert set(speeds) == set(written["waiting_share"]) == CONTENDERS
    for name, of in speeds.items():
        assert set(of) == {"0", "1"}
        assert all(0 < speed["min"] <= speed["median"] <= speed["max"] for speed in of.values())
        assert of[str(best[name])]["median"] == max(speed["median"] for speed in of.values())
        assert len(written["waiting_share"][name]) == 2
        assert all(0 <= share <= 1 for share in written["waiting_share"][name])

    def fastest(name):
        return speeds[name][str(best[name])]["median"]

    assert written["ratios"] == {
        "raw": pytest.approx(fastest("ours, raw from disk") / fastest("MONAI, raw from memory")),
        "augmented on the CPU": pytest.approx(fastest("ours, augmented on the CPU") / fastest("MONAI, augmented")),
        "ours augmented on the device": pytest.approx(fastest("ours, raw from disk") / fastest("MONAI, augmented")),
    }
    assert Image.open(folder / "loader.png").size[0] > 500
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith((".", "benchmark"))) == [
        "loader.json",
        "loader.png",
    ], "the slices are removed"
    for word in ("num_workers=1", "MONAI, augmented", "2 epochs of 48 slices", "1 threads", "loader.png"):
        assert word in result.stdout


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("part=lodaer", "part: expected train, loader, translate, startup or all, got 'lodaer'"),
        ("loader.num_slices=10", "loader.num_slices: expected at least 40 for loader.batch_size=2, got 10"),
        ("loader.repaets=3", "Unknown key loader.repaets. Did you mean loader.repeats"),
    ],
)
def test_a_mistake_is_one_message(tmp_path, word, message, run_benchmark):
    result = run_benchmark("part=loader", *TOY_LOADER, word, cwd=tmp_path)
    assert result.returncode == 1
    assert message in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
