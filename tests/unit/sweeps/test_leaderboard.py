import csv
import json
import re

import pytest

from mri_cyclegan.evaluation.protocol import METRICS, PROTOCOL_VERSION
from mri_cyclegan.sweeps.leaderboard import rank_runs

HASHES = {"ab": "1", "ba": "2"}


def write_run(root, name, overrides, ssim, mae=0.1, **changes):
    folder = root / name
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text("\n".join(f"- {word}" for word in overrides) + "\n")
    (folder / ".hydra" / "config.yaml").write_text("name: hydra's own\n")
    (folder / "config.yaml").write_text("name: demo\n")
    (folder / "summary.json").write_text("{}")
    if ssim is None:
        return
    values = {
        direction: dict.fromkeys(METRICS, 0.0) | {"ssim": ssim + shift, "mae": mae}
        for direction, shift in (("ab", 0), ("ba", 0.1))
    }
    summary = {
        direction: {"CycleGAN": {"foreground": {metric: {"mean": value} for metric, value in of_direction.items()}}}
        for direction, of_direction in values.items()
    }
    (folder / "evaluation").mkdir()
    content = {
        "protocol_version": PROTOCOL_VERSION,
        "directions": {"ab": ["T1w", "T2w"], "ba": ["T2w", "T1w"]},
        "part": "test",
        "resampled_targets": False,
        "method": "CycleGAN",
        "summary": summary,
        "subjects": [scan("sub-1"), scan("sub-2")],
        "provenance": {"model_sha256": HASHES},
    }
    (folder / "evaluation" / "metrics.json").write_text(json.dumps(content | changes))
    (folder / "model").mkdir()
    generators = {direction: {"sha256": sha256} for direction, sha256 in HASHES.items()}
    (folder / "model" / "model.json").write_text(json.dumps({"generators": generators}))


def scan(subject, **changes):
    return {"subject": subject, "session": "", "scan": "", "hashes": {"a": "3", "b": "4"}, "ways": {}} | changes


@pytest.fixture
def sweep(tmp_path):
    write_run(tmp_path, "0", ["+experiment=demo", "model.lambda_cycle=1", "seed=3"], 0.5, mae=0.3)
    write_run(tmp_path, "1", ["+experiment=demo", "model.lambda_cycle=5", "seed=3"], 0.7, mae=0.2)
    write_run(tmp_path, "2", ["+experiment=demo", "model.lambda_cycle=10", "seed=3"], 0.6, mae=0.1)
    write_run(tmp_path, "3", ["+experiment=demo", "model.lambda_cycle=20", "seed=3"], None)
    return tmp_path


def test_a_run_evaluated_before_a_metric_was_added_is_ranked_by_the_others(sweep):
    path = sweep / "1" / "evaluation" / "metrics.json"
    earlier = json.loads(path.read_text()) | {"metrics": {"psnr": {}, "ssim": {}}}
    for methods in earlier["summary"].values():
        del methods["CycleGAN"]["foreground"]["nmi"]
    path.write_text(json.dumps(earlier))
    best = rank_runs(sweep, "ssim").entries[0]
    assert (best.folder.name, "nmi" in best.metrics) == ("1", False)
    left_out = "\n".join(rank_runs(sweep, "nmi").left_out)
    assert "1: no nmi, since it was evaluated by an earlier version: evaluate it again." in left_out


def test_the_best_run_comes_first_with_the_overrides_that_differ(sweep):
    ranking = rank_runs(sweep)
    assert [entry.folder.name for entry in ranking.entries] == ["1", "2", "0"]
    assert ranking.differing == ["model.lambda_cycle"]
    assert ranking.entries[0].overrides["model.lambda_cycle"] == "5"
    assert ranking.entries[0].metrics["ssim"] == pytest.approx(0.75)  # mean of the directions
    assert len(ranking.left_out) == 1
    assert "Evaluate the run first" in ranking.left_out[0]


def test_runs_of_an_older_protocol_are_ranked_among_themselves_only(sweep):
    write_run(sweep, "4", ["+experiment=demo", "model.lambda_cycle=40", "seed=3"], 0.9, protocol_version=1)
    ranking = rank_runs(sweep)
    assert [entry.folder.name for entry in ranking.entries] == ["1", "2", "0"]
    assert any("by protocol version 1, most runs by version 2; evaluate it again" in why for why in ranking.left_out)


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


def left_out(root):
    """Why the run "9", better than all others, is not ranked."""
    ranking = rank_runs(root)
    assert [entry.folder.name for entry in ranking.entries] == ["1", "2", "0"]
    return "".join(reason for reason in ranking.left_out if f"{root}/9" in reason)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"part": "val"}, "evaluated on val subjects, most runs on test subjects"),
        ({"resampled_targets": True}, "evaluated with resampled targets"),
        ({"subjects": [scan("sub-1")]}, r"other images \(1\) than most runs \(2\)"),
        ({"subjects": [scan("sub-1"), scan("sub-2", session="ses-2")]}, "other images"),
        ({"subjects": [scan("sub-1"), scan("sub-2", scan="run-2")]}, "other images"),
        ({"subjects": [scan("sub-1"), scan("sub-2", hashes={"a": "3", "b": "5"})]}, "other images"),
        ({"provenance": {"model_sha256": HASHES | {"ba": "5"}}}, "evaluated before its model changed"),
        ({"provenance": {}}, "evaluated before its model changed"),
        ({"provenance": {"model_sha256": [HASHES, HASHES]}}, "evaluated as an ensemble"),
        ({"summary": {"ab": {"CycleGAN": {"foreground": {"ssim": {"mean": float("nan")}}}}}}, "not what an evaluation"),
        ({"summary": None}, "not what an evaluation writes"),
        ({"part": None}, "not what an evaluation writes"),
    ],
)
def test_a_run_that_cannot_be_ranked_with_the_others_is_left_out(sweep, changes, reason):
    write_run(sweep, "9", [], 0.8, **changes)
    assert re.search(reason, left_out(sweep))


def test_the_order_of_subjects_does_not_matter(sweep):
    write_run(sweep, "9", [], 0.8, subjects=[scan("sub-2"), scan("sub-1", hashes={"b": "4", "a": "3"})])
    assert rank_runs(sweep).entries[0].folder.name == "9"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("evaluation/metrics.json", "[]"),
        ("evaluation/metrics.json", "{"),
        (".hydra/overrides.yaml", "{: not"),
        (".hydra/overrides.yaml", "seed: 3"),
        (".hydra/overrides.yaml", "- seed: 3"),
        ("model/model.json", "null"),
        ("model/model.json", '{"generators": []}'),
    ],
)
def test_a_broken_file_leaves_its_run_out(sweep, name, content):
    write_run(sweep, "9", [], 0.8)
    (sweep / "9" / name).write_text(content)
    assert f"{sweep / '9' / name}: " in left_out(sweep)


def test_words_of_the_command_line_are_kept_as_given(tmp_path):
    write_run(tmp_path, "0", ["+data.extra=a b", "~data.masks", "++seed=3"], 0.5)
    write_run(tmp_path, "1", ["seed=3"], 0.4)
    ranking = rank_runs(tmp_path)
    assert ranking.differing == ["data.extra", "data.masks"]
    assert ranking.entries[0].overrides == {"data.extra": "a b", "data.masks": "~", "seed": "3"}
    assert list(ranking.entries[0].typed.values()) == ["+data.extra=a b", "~data.masks", "++seed=3"]


# Validation, resources and failures


def write_validation(root, name, ssim, images="same"):
    (root / name / "validation.json").write_text(json.dumps({"ssim": ssim, "epoch": 1, "images": images}))


def test_validation_ranks_without_an_evaluation_and_only_on_the_same_images(sweep):
    for name, ssim, images in (("0", 0.2, "same"), ("1", 0.1, "same"), ("2", 0.9, "others"), ("3", 0.3, "same")):
        write_validation(sweep, name, ssim, images)
    ranking = rank_runs(sweep, "val_ssim")
    assert [entry.folder.name for entry in ranking.entries] == ["3", "0", "1"]
    assert ranking.entries[1].metrics["ssim"] == pytest.approx(0.55)  # test subjects beside it
    assert "ssim" not in ranking.entries[0].metrics
    assert ranking.left_out == [f"{sweep / '2'}: validated on other images than those ranked, or on other grids."]


def test_a_run_without_validation_is_left_out_of_its_ranking(sweep):
    write_validation(sweep, "0", 0.2)
    write_validation(sweep, "1", float("nan"))
    ranking = rank_runs(sweep, "val_ssim")
    assert [entry.folder.name for entry in ranking.entries] == ["0"]
    assert [reason.partition(": ")[2] for reason in ranking.left_out] == [
        "no val_ssim, since it was validated without pairs."
    ] * 3


def test_resources_are_columns_of_the_table(sweep):
    measured = {"device": "cpu", "training_s": 12.5, "batches_per_s": 3, "peak_gpu_memory_bytes": None}
    (sweep / "1" / "resources.json").write_text(json.dumps(measured))
    rows = list(csv.DictReader(rank_runs(sweep).as_csv().splitlines()))
    assert [row["training_s"] for row in rows] == ["12.5", "", ""]
    assert rows[0]["batches_per_s"] == "3"
    assert "peak_gpu_memory_bytes" not in rows[0]
    assert "device" not in rows[0]


@pytest.mark.parametrize(("name", "content"), [("validation.json", "[1]"), ("resources.json", "{")])
def test_a_broken_measurement_leaves_its_run_out(sweep, name, content):
    write_run(sweep, "9", [], 0.8)
    (sweep / "9" / name).write_text(content)
    assert f"{sweep / '9' / name}: " in left_out(sweep)


def write_failure(root, name, overrides, error="", started=False):
    folder = root / name
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text(json.dumps(overrides))
    if error:
        (folder / "error.txt").write_text(f"{error}\n\nTraceback (most recent call last):\n  …\n\nname: demo\n")
    if started:
        (folder / "config.yaml").write_text("name: demo\n")


def test_failed_jobs_are_told_with_their_reason(sweep):
    write_failure(sweep, "4", ["model.lambda_cycle=-1"], "model.lambda_cycle: expected 0 or more.\nGive one.")
    write_failure(sweep, "5", ["model.lambda_cycle=7"], started=True)
    ranking = rank_runs(sweep)
    assert ranking.failed == {
        sweep / "4": "model.lambda_cycle: expected 0 or more.\nGive one.",
        sweep / "5": "did not end: killed, interrupted, or still running",
    }
    assert len(ranking.entries) == 3


def test_a_failed_job_that_was_run_again_is_told_once_or_not_at_all(sweep):
    done = ["seed=3", "model.lambda_cycle=5", "+experiment=demo"]  # as "1", in another order
    write_failure(sweep, "4", done, "first try")
    write_failure(sweep, "5", ["seed=4"], "first try")
    write_failure(sweep, "6", ["seed=4"], "second try")
    assert rank_runs(sweep).failed == {sweep / "6": "second try"}


def test_a_sweep_whose_jobs_all_failed_is_told_why(tmp_path):
    write_failure(tmp_path, "0", ["seed=1"], "RuntimeError: out of memory")
    with pytest.raises(ValueError, match=rf"no evaluated run is below it.*\n- {tmp_path}/0: failed: RuntimeError: out"):
        rank_runs(tmp_path)


def test_a_run_that_validated_but_did_not_end_is_not_ranked(sweep):
    for name, ssim in (("0", 0.2), ("1", 0.9)):
        write_validation(sweep, name, ssim)
    (sweep / "1" / "summary.json").unlink()
    ranking = rank_runs(sweep, "val_ssim")
    assert [entry.folder.name for entry in ranking.entries] == ["0"]
    assert list(ranking.failed) == [sweep / "1"]
    assert [entry.folder.name for entry in rank_runs(sweep).entries] == ["1", "2", "0"], "its evaluation counts"


def test_numbers_that_are_too_large_are_none(sweep):
    for name, key in (("validation.json", "ssim"), ("resources.json", "training_s")):
        (sweep / "0" / name).write_text(f'{{"{key}": 1{"0" * 400}}}')
    (entry,) = (entry for entry in rank_runs(sweep).entries if entry.folder.name == "0")
    assert "val_ssim" not in entry.metrics
    assert entry.resources == {}


@pytest.mark.parametrize("text", ["- !!int ''", "- !!bool x", "- [&a [*a]]", "- !!python/object/apply:os.getcwd []"])
def test_words_that_cannot_be_read_leave_a_run_out(sweep, text):
    (sweep / "1" / ".hydra" / "overrides.yaml").write_text(text)
    ranking = rank_runs(sweep)
    assert [entry.folder.name for entry in ranking.entries] == ["2", "0"]
    assert any("overrides.yaml: " in reason for reason in ranking.left_out)


def test_why_a_job_failed_may_be_unreadable(sweep):
    (sweep / "3" / "summary.json").unlink()
    (sweep / "3" / "error.txt").write_bytes(b"\xff\n\nTraceback (most recent call last)")
    (sweep / "2" / "summary.json").unlink()
    (sweep / "2" / "evaluation" / "metrics.json").unlink()
    (sweep / "2" / "error.txt").mkdir()
    failed = {folder.name: why for folder, why in rank_runs(sweep).failed.items()}
    assert failed == {"3": "\ufffd", "2": "error.txt cannot be read (Is a directory)"}
