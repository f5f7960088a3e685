from pathlib import Path

import pytest

from mri_cyclegan.evaluation.comparison import compare
from mri_cyclegan.evaluation.protocol import METRICS
from mri_cyclegan.evaluation.summary_table import print_comparison, print_evaluation


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")


def statistics(value):
    return {"mean": value, "sd": 0.1, "median": value, "worst": value, "low": value - 0.5, "high": value + 0.25}


def evaluated(**changes):
    methods = {"CycleGAN": 20.0, "copy": 10.0}
    summary = {m: {"foreground": {name: statistics(value) for name in METRICS}} for m, value in methods.items()}
    audit = {"name": "Copying", "way": "ab", "level": "red", "figure": "0.01 from the source", "meaning": ""}
    content = {
        "directions": {"ab": ["T1w", "T2w"]},
        "method": "CycleGAN",
        "part": "test",
        "chose_epoch": [],
        "summary": {"ab": summary},
        "subjects": [{"subject": f"sub-{n}", "ways": {"ab": {"metrics": {"CycleGAN": {}}}}} for n in (1, 2, 2, 3)],
        "audits": [audit],
        "warnings": ["sub-01 [was] left out."],
        "verdict": ["T1w → T2w: above copy in PSNR and SSIM."],
    }
    return content | changes


def test_results_audits_warnings_verdict_and_files_are_printed(capsys):
    print_evaluation(evaluated(), Path("/runs/one/evaluation"))
    output = capsys.readouterr().out
    assert "T1w → T2w, foreground, 3 test subjects" in output
    assert "20.00 [19.50, 20.25]" in output
    assert "10.000 [9.500, 10.250]" in output
    for words in ("Copying", "red", "0.01 from the source", "sub-01 [was] left out.", "above copy in PSNR and SSIM"):
        assert words in output
    assert "/runs/one/evaluation/report.html" in output


def test_a_single_subject_has_no_interval_and_who_chose_the_epoch_is_told(capsys):
    alone = {name: statistics(20.0) | {"sd": None, "low": None, "high": None} for name in METRICS}
    subjects = evaluated()["subjects"][:1]
    content = evaluated(
        summary={"ab": {"CycleGAN": {"foreground": alone}}}, subjects=subjects, part="val", chose_epoch=["sub-1"]
    )
    print_evaluation(content, Path("/runs/one/evaluation"))
    output = " ".join(capsys.readouterr().out.split())
    assert "1 validation subject, on whom the epoch was chosen" in output
    assert "20.00 │ 20.000" in output
    assert "interval" not in output


def test_without_pairs_there_is_no_table_of_results(capsys):
    print_evaluation(evaluated(summary={"ab": {}}), Path("/runs/one/evaluation"))
    assert "PSNR (dB)" not in capsys.readouterr().out


def test_a_comparison_names_the_better_run_where_the_interval_leaves_zero_out(capsys):
    def content(values):
        subjects = [
            {"subject": f"sub-{i}", "session": "", "ways": {"ab": {"metrics": {"M": {"foreground": metrics}}}}}
            for i, metrics in enumerate(values)
        ]
        return {"protocol_version": 2, "method": "M", "directions": {"ab": ["T1w", "T2w"]}, "subjects": subjects}

    base = dict.fromkeys(METRICS, 0.5)
    first = content([base | {"mae": 0.1 * i} for i in range(8)])
    second = content([base | {"psnr": 0.6 + 0.01 * i, "mae": 0.1 * i + 0.05 + 0.001 * i} for i in range(8)])
    print_comparison(compare(first, second), {"ab": ["T1w", "T2w"]}, (Path("runs/plain"), Path("runs/wide")))
    lines = {line.split("│")[1].strip(): line for line in capsys.readouterr().out.splitlines() if line.count("│") > 5}
    assert lines["PSNR"].split("│")[-2].strip() == "wide"
    assert lines["MAE"].split("│")[-2].strip() == "plain", "a smaller error is better"
    assert lines["SSIM"].split("│")[-2].strip() == "–"


DIFFERENCE = {"first": 0.5, "second": 0.6, "mean": 0.1, "low": 0.05, "high": 0.15, "p_value": 0.01, "num_subjects": 8}


def compared(capsys, folders, **changes):
    """The printed comparison, and its row of SSIM."""
    differences = {"ab": {"ssim": DIFFERENCE | changes}}
    print_comparison(differences, {"ab": ["T1w", "[red]T2w"]}, tuple(map(Path, folders)))
    output = capsys.readouterr().out
    return output, next(line for line in output.splitlines() if "SSIM" in line).split("│")[-2].strip()


@pytest.mark.parametrize(
    ("changes", "better"),
    [
        ({}, "wide"),
        ({"p_value": 0.05}, "–"),
        ({"low": -0.01}, "–"),
        ({"mean": -0.1, "low": -0.2, "high": -0.1}, "plain"),
        ({"low": None, "high": None, "num_subjects": 1}, "–"),
    ],
)
def test_a_winner_needs_the_interval_and_the_test(capsys, changes, better):
    assert compared(capsys, ("runs/plain", "runs/wide"), **changes)[1] == better


@pytest.mark.parametrize("folders", [("/x/run", "/y/run"), ("/", "/y/run")])
def test_runs_of_one_name_are_told_apart(capsys, folders):
    output, better = compared(capsys, folders)
    assert better == folders[1]
    assert all(f" {folder} " in next(line for line in output.splitlines() if "metric" in line) for folder in folders)


NAMES = ("[red]x", "q[/y] z", ":bug: w")


def test_names_are_printed_as_they_are(capsys):
    output, better = compared(capsys, (NAMES[0], NAMES[2]))
    assert better == NAMES[2]
    assert "T1w → [red]T2w, foreground, the same 8 subjects" in output
    for name in NAMES:
        summary = {"ab": {name: evaluated()["summary"]["ab"]["copy"]}}
        audits = [evaluated()["audits"][0] | {"name": f"audit {name}"}]
        content = evaluated(directions={"ab": [name, "T2w"]}, part=f"part {name}", summary=summary, audits=audits)
        print_evaluation(content, Path("/runs") / name)
        output = capsys.readouterr().out
        for shown in (
            f"{name} → T2w, foreground, 3 part {name} subjects",
            f"audit {name}",
            f"│ {name} ",
            f"/runs/{name}",
        ):
            assert shown in output
