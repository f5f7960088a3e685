import csv
import json

import pytest

from mri_cyclegan.evaluation.leaderboard import rank_runs
from mri_cyclegan.evaluation.protocol import METRICS, PROTOCOL_VERSION


def write_run(root, name, overrides, ssim, mae=0.1):
    folder = root / name
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text("\n".join(f"- {word}" for word in overrides) + "\n")
    (folder / ".hydra" / "config.yaml").write_text("name: hydra's own\n")
    (folder / "config.yaml").write_text("name: demo\n")
    if ssim is None:
        return
    values = {
        way: dict.fromkeys(METRICS, 0.0) | {"ssim": ssim + shift, "mae": mae} for way, shift in (("ab", 0), ("ba", 0.1))
    }
    summary = {
        way: {"CycleGAN": {"foreground": {metric: {"mean": value} for metric, value in of_way.items()}}}
        for way, of_way in values.items()
    }
    (folder / "evaluation").mkdir()
    content = {"protocol_version": PROTOCOL_VERSION, "method": "CycleGAN", "summary": summary}
    (folder / "evaluation" / "metrics.json").write_text(json.dumps(content))


@pytest.fixture
def sweep(tmp_path):
    write_run(tmp_path, "0", ["+experiment=demo", "model.lambda_cycle=1", "seed=3"], 0.5, mae=0.3)
    write_run(tmp_path, "1", ["+experiment=demo", "model.lambda_cycle=5", "seed=3"], 0.7, mae=0.2)
    write_run(tmp_path, "2", ["+experiment=demo", "model.lambda_cycle=10", "seed=3"], 0.6, mae=0.1)
    write_run(tmp_path, "3", ["+experiment=demo", "model.lambda_cycle=20", "seed=3"], None)
    return tmp_path


def test_the_best_run_comes_first_with_the_overrides_that_differ(sweep):
    ranking = rank_runs(sweep)
    assert [entry.folder.name for entry in ranking.entries] == ["1", "2", "0"]
    assert ranking.differing == ["model.lambda_cycle"]
    assert ranking.entries[0].overrides["model.lambda_cycle"] == "5"
    assert ranking.entries[0].metrics["ssim"] == pytest.approx(0.75)  # mean of the directions
    assert len(ranking.left_out) == 1
    assert "Evaluate the run first" in ranking.left_out[0]


@pytest.mark.parametrize(("metric", "best"), [("ssim_ba", "1"), ("mae", "2"), ("mae_ab", "2")])
def test_any_metric_ranks_and_lower_errors_are_better(sweep, metric, best):
    assert rank_runs(sweep, metric).entries[0].folder.name == best


def test_the_table_has_every_metric_and_override(sweep):
    rows = list(csv.DictReader(rank_runs(sweep).as_csv().splitlines()))
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert [row["model.lambda_cycle"] for row in rows] == ["5", "10", "1"]
    assert float(rows[0]["ssim_ba"]) == pytest.approx(0.8)
    assert set(METRICS) <= rows[0].keys()


def test_what_cannot_be_ranked_is_refused(sweep, tmp_path):
    with pytest.raises(ValueError, match=r"--metric: expected one of psnr, ssim.*got 'sharpness'"):
        rank_runs(sweep, "sharpness")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="no evaluated run is below it"):
        rank_runs(empty)
