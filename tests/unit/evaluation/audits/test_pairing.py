import pytest

from mri_cyclegan.evaluation.audits.audit import Level
from mri_cyclegan.evaluation.audits.pairing import assess_pairing


def split(train_a=("s1", "s2"), train_b=("s3", "s4", "s5")):
    return {"subjects": {"train_a": list(train_a), "train_b": list(train_b), "val": ["s6"], "test": ["s7", "s8"]}}


def test_disjoint_domains_and_unseen_subjects_are_green():
    audit = assess_pairing(split(), ["s7", "s8"])
    assert audit.level is Level.GREEN
    assert audit.direction is None
    assert audit.values == {"num_train_a": 2, "num_train_b": 3, "num_shared": 0, "num_seen": 0}


def test_a_single_subject_in_both_domains_is_red_and_named():
    audit = assess_pairing(split(train_b=("s2", "s4")), ["s7"])
    assert audit.level is Level.RED
    assert audit.values["num_shared"] == 1
    assert "s2" in audit.meaning
    assert "s4" not in audit.meaning


@pytest.mark.parametrize("subject", ["s1", "s5"])
def test_an_evaluated_subject_that_was_trained_on_is_red_and_named(subject):
    audit = assess_pairing(split(), ["s7", subject])
    assert audit.level is Level.RED
    assert audit.values["num_seen"] == 1
    assert subject in audit.meaning


def test_validation_subjects_may_be_evaluated():
    assert assess_pairing(split(), ["s6"]).level is Level.GREEN


def test_unknown_identities_are_never_green():
    audit = assess_pairing(split() | {"identity": "unknown"}, ["s7"])
    assert audit.level is Level.UNKNOWN
    assert "one person may be in training and in test" in audit.meaning
    assert assess_pairing(split() | {"identity": "unknown"}, ["s1"]).level is Level.RED


def test_without_a_split_nothing_is_known():
    assert assess_pairing(None, ["s7"]).level is Level.UNKNOWN
