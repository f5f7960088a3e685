import pytest
from report_example.evaluation import example_evaluation

from mri_cyclegan.evaluation.report.results import gains, results

METRICS = {
    "psnr": {"label": "PSNR", "unit": "dB", "higher_is_better": True, "digits": 2},
    "mae": {"label": "MAE", "unit": "", "higher_is_better": False, "digits": 4},
}


def evaluation(**means):
    """An evaluation with the foreground means of each method, (PSNR, MAE)."""
    summary = {
        method.replace("_", " ").replace("look up", "look-up"): {
            "foreground": {
                metric: {"mean": value, "low": value - 0.5, "high": value + 0.5}
                for metric, value in zip(METRICS, values, strict=True)
            }
        }
        for method, values in means.items()
    }
    return {"method": "CycleGAN", "metrics": METRICS, "summary": {"ab": summary}}


@pytest.fixture
def content():
    return evaluation(
        CycleGAN=(22.0, 0.06), copy=(11.0, 0.09), mean_image=(16.0, 0.1), oracle_look_up_table=(24.0, 0.05)
    )


def test_rows_are_the_methods_in_order_with_means_and_intervals(content):
    rows = results(content, "ab", "foreground")
    assert [(row.method, row.kind) for row in rows] == [
        ("CycleGAN", "model"),
        ("copy", "baseline"),
        ("mean image", "baseline"),
        ("oracle look-up table", "oracle"),
    ]
    assert (rows[0].cells[0].mean, rows[0].cells[0].interval) == ("22.00", "21.50 to 22.50")
    assert (rows[1].cells[1].mean, rows[1].cells[1].interval) == ("0.0900", "−0.4100 to 0.5900")


def test_the_best_baseline_may_be_another_one_for_each_metric_and_is_never_the_oracle(content):
    best = {row.method: [cell.is_best for cell in row.cells] for row in results(content, "ab", "foreground")}
    assert best == {
        "CycleGAN": [False, False],
        "copy": [False, True],
        "mean image": [True, False],
        "oracle look-up table": [False, False],
    }


def test_a_gain_is_better_in_the_metric_s_own_direction(content):
    assert [(gain.difference, gain.word) for gain in gains(content, "ab", "foreground")] == [
        ("+6.00", "better"),
        ("−0.0300", "better"),
    ]
    worse = evaluation(CycleGAN=(15.0, 0.2), copy=(11.0, 0.09), mean_image=(16.0, 0.1))
    assert [(gain.difference, gain.word) for gain in gains(worse, "ab", "foreground")] == [
        ("−1.00", "worse"),
        ("+0.1100", "worse"),
    ]


def test_what_is_shown_as_zero_is_no_gain():
    equal = evaluation(CycleGAN=(16.001, 0.1), copy=(16.0, 0.1))
    assert [(gain.difference, gain.word) for gain in gains(equal, "ab", "foreground")] == [
        ("0.00", "equal"),
        ("0.0000", "equal"),
    ]


def test_without_baselines_there_is_no_gain():
    alone = evaluation(CycleGAN=(22.0, 0.06), oracle_look_up_table=(24.0, 0.05))
    assert gains(alone, "ab", "foreground") == []
    assert not any(cell.is_best for row in results(alone, "ab", "foreground") for cell in row.cells)


def test_without_pairs_there_are_no_rows():
    unpaired = example_evaluation(3, paired=False)
    assert results(unpaired, "ab", "foreground") == gains(unpaired, "ab", "foreground") == []
