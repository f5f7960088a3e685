import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from mri_cyclegan.runs.resume_hint import resume_hint


@pytest.mark.parametrize(
    "folder", ["/runs/a", "/my runs/a", "/ü/a", "/a=b,c(d)[e]", "/it's", '/"x"', "/${x}", "/$HOME"]
)
def test_the_words_can_be_pasted_whatever_the_folder_is_called(folder):
    text = resume_hint(OmegaConf.create({"run_dir": folder.replace("${", r"\${"), "ckpt_path": None}))
    start = "Resume with the same command and "
    assert text.startswith(start)
    words = shlex.split(text.removeprefix(start))
    parsed = OverridesParser.create().parse_overrides(words)
    found = {override.key_or_group: override.value() for override in parsed}
    assert OmegaConf.create({"x": found["hydra.run.dir"]}).x == folder
    assert found["resume"] == "auto"


def test_a_checkpoint_of_elsewhere_is_not_gone_on_from_twice():
    text = resume_hint(OmegaConf.create({"run_dir": "/runs/a", "ckpt_path": "/other/last.ckpt"}))
    assert text.endswith("hydra.run.dir=/runs/a resume=auto ckpt_path=null")
