from mri_cyclegan.evaluation.evaluated_subjects import caveats

DIRECTIONS = {"ab": ["T1w", "T2w"], "ba": ["T2w", "T1w"]}


def images(*names, directions=("ab", "ba")):
    """Of subjects with pairs."""
    return [
        {"subject": name, "ways": {direction: {"metrics": {"CycleGAN": {}}} for direction in directions}}
        for name in names
    ]


def test_figures_of_several_people_who_were_not_seen_need_no_remark():
    assert caveats(DIRECTIONS, images("sub-1", "sub-2"), []) == []


def test_those_who_chose_the_epoch_are_told_and_how_many_of_all_they_are():
    (all_of_them,) = caveats(DIRECTIONS, images("sub-1", "sub-2", "sub-2"), ["sub-1", "sub-2"])
    assert all_of_them.startswith("The epoch was chosen on these subjects")
    (some,) = caveats(DIRECTIONS, images("sub-1", "sub-2"), ["sub-2"])
    assert some.startswith("The epoch was chosen on 1 of these subjects")


def test_two_images_of_one_person_are_one_person():
    unpaired = {"subject": "sub-2", "ways": {"ab": {"metrics": {}}, "ba": {}}}
    sentences = caveats(DIRECTIONS, [*images("sub-1", "sub-1", directions=["ab"]), unpaired], [])
    assert [sentence.partition(",")[0] for sentence in sentences] == ["T1w → T2w: a single subject has a pair"]
