import pytest

from tests.unit.data.splits.split_cases import settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"split_file": "old.json", "split_column": "part"},
            "data.split_file=old.json and data.split_column=part: each",
        ),
        (
            {"split_file": "old.json", "num_folds": 5},
            "data.split_file=old.json and data.num_folds=5: each alone decides",
        ),
        ({"split_column": "part", "num_folds": 5}, "data.split_column=part and data.num_folds=5: each alone decides"),
        (
            {"split_file": "old.json", "stratify_by": "site"},
            "data.stratify_by=site has no effect with data.split_file=",
        ),
        (
            {"split_column": "part", "stratify_by": "site"},
            "data.stratify_by=site has no effect with data.split_column=",
        ),
        ({"fold": 2}, "data.fold=2 has no effect without folds. Set data.num_folds"),
        ({"num_folds": 1}, "data.num_folds: expected a whole number from 2, or null, got 1."),
        ({"num_folds": 2.5}, "data.num_folds: expected a whole number from 2, or null, got 2.5."),
        ({"num_folds": 5, "fold": 5}, "data.fold: expected 0 to 4 (data.num_folds=5), got 5."),
        ({"num_folds": 5, "fold": -1}, "data.fold: expected 0 to 4 (data.num_folds=5), got -1."),
        ({"num_folds": 5, "val_share": 1.0}, "data.val_share: expected at least 0 and under 1, got 1.0."),
        ({"val_share": -0.1}, "data.val_share and data.test_share: expected at least 0 and under 1 together, got -0.1"),
        ({"test_share": -0.1}, "data.val_share and data.test_share: expected"),
        ({"val_share": 0.5, "test_share": 0.5}, "data.val_share and data.test_share: expected"),
        ({"val_share": 1.0, "test_share": 0.0}, "data.val_share and data.test_share: expected"),
        ({"val_share": float("nan")}, "data.val_share and data.test_share: expected"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_their_keys(changes, message):
    with pytest.raises(ValueError) as caught:
        settings(**changes)
    assert message in str(caught.value)


@pytest.mark.parametrize("changes", [{"split_column": "part", "num_folds": 5}, {"fold": 2}])
def test_a_refusal_says_the_way_out(changes):
    with pytest.raises(ValueError, match=r"Set all but one to null\.|Set data\.num_folds"):
        settings(**changes)


@pytest.mark.parametrize(
    ("changes", "names", "deciding_keys"),
    [
        ({}, {"val_share", "test_share", "stratify_by", "split_seed"}, "data.val_share=0.1, data.test_share=0.1"),
        (
            {"num_folds": 5, "fold": 3, "stratify_by": "site", "test_share": 0.95},
            {"num_folds", "fold", "val_share", "stratify_by", "split_seed"},
            "data.num_folds=5, data.val_share=0.1",
        ),
        ({"split_column": "part", "val_share": 2.0}, {"split_column", "split_seed"}, "data.split_column=part"),
        ({"split_file": "old.json"}, {"split_file"}, "data.split_file=old.json"),
    ],
)
def test_the_rule_holds_the_settings_with_an_effect(changes, names, deciding_keys):
    chosen = settings(**changes)
    rule = chosen.rule()
    assert set(rule) == names | {"allow_paired_subjects"}
    assert {name: rule[name] for name in changes if name in rule} == {
        name: value for name, value in changes.items() if name in names
    }
    assert chosen.deciding_keys() == deciding_keys
