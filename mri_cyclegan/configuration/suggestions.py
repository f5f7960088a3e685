"""Suggestions for overrides that are unknown or cannot be parsed."""

import difflib
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from hydra import compose, initialize_config_dir
from hydra.errors import CompactHydraException
from omegaconf import DictConfig, OmegaConf

from mri_cyclegan.configuration.literal_overrides import how_to_quote, literal_overrides
from mri_cyclegan.configuration.renamed_keys import renamed_hint
from mri_cyclegan.configuration.schema import CONF_DIR

# Overrides that need a Hydra plugin: the plugin's module, and the extra that installs it.
PLUGINS = {
    "sweep=optuna": ("hydra_plugins.hydra_optuna_sweeper", "optuna"),
    "hydra/sweeper=optuna": ("hydra_plugins.hydra_optuna_sweeper", "optuna"),
    "hydra/launcher=joblib": ("hydra_plugins.hydra_joblib_launcher", "joblib"),
    "hydra/launcher=gpus": ("hydra_plugins.hydra_joblib_launcher", "joblib"),
    "hydra/launcher=submitit_local": ("hydra_plugins.hydra_submitit_launcher", "submitit"),
    "hydra/launcher=submitit_slurm": ("hydra_plugins.hydra_submitit_launcher", "submitit"),
    "hydra/launcher=slurm": ("hydra_plugins.hydra_submitit_launcher", "submitit"),
    "hydra/launcher=ray": ("hydra_plugins.hydra_ray_launcher", "ray"),
    "hydra/launcher=ray_gpu": ("hydra_plugins.hydra_ray_launcher", "ray"),
}


def print_suggestions(stop: SystemExit, config_name: str = "train") -> None:
    """Print which overrides are unknown or cannot be parsed, if Hydra exited because it could not compose them.

    Args:
        stop: exit of the command.
        config_name: configuration that the overrides were meant for.
    """
    if not isinstance(stop.__context__, CompactHydraException):
        return
    for line in suggestions_for(sys.argv[1:], config_name):
        print(line, file=sys.stderr)


def suggestions_for(overrides: Sequence[str], config_name: str = "train") -> list[str]:
    """One line for each unknown key, with similar keys, each value that cannot be parsed, and each missing plugin.

    Args:
        overrides: as typed, such as ``model.lambda_cyle=5``.
        config_name: configuration that they were meant for.
    """
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = compose(config_name)
    known = sorted(_keys(config, ""))
    groups = {path.parent.name for path in CONF_DIR.glob("*/*.yaml")}
    lines = _missing_plugins(overrides)
    for override in overrides:
        key, _, package = override.partition("=")[0].lstrip("+~").partition("@")
        if renamed_hint(package):
            lines.append(f"Unknown key {package}.{renamed_hint(package)}")
        if "=" not in override or key.startswith(("hydra", "-")) or key in known or key in groups:
            continue
        by_name = [other for other in known if other.rpartition(".")[2] == key.rpartition(".")[2]]
        matches = by_name[:3] or _closest(key, [*known, *groups])
        lines.append(f"Unknown key {key}.{renamed_hint(key) or did_you_mean(matches)}")
    for override in overrides:
        if (typed := how_to_quote(override)) and override in literal_overrides([override]):
            lines.append(f"{override.partition('=')[0]}: Hydra cannot read this value. If it is text, write {typed}")
    return lines


def _closest(key: str, known: Sequence[str]) -> list[str]:
    """The most similar name, and others only if nearly as similar, since long keys resemble all their neighbors."""
    matches = difflib.get_close_matches(key, known, n=3, cutoff=0.8)
    similarity = [difflib.SequenceMatcher(None, match, key).ratio() for match in matches]
    return [match for match, ratio in zip(matches, similarity, strict=True) if ratio > similarity[0] - 0.05]


def _missing_plugins(overrides: Sequence[str]) -> list[str]:
    lines = []
    for override in overrides:
        module, extra = PLUGINS.get(override, ("", ""))
        if module and not _is_installed(module):
            lines.append(f"{override} needs a plugin: pip install 'mri-cyclegan[{extra}]'")
    return lines


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # no Hydra plugin is installed at all
        return False


def _keys(node: DictConfig, prefix: str) -> Iterator[str]:
    for name in map(str, node):
        key = f"{prefix}{name}"
        yield key
        if isinstance(node._get_node(name), DictConfig) and not OmegaConf.is_missing(node, name):
            child = node._get_node(name)
            assert isinstance(child, DictConfig)
            if not child._is_none():
                yield from _keys(child, f"{key}.")


def did_you_mean(matches: Sequence[str]) -> str:
    """End of a message about an unknown name: the similar names, or an empty string if there are none."""
    return f" Did you mean {' or '.join(matches)}?" if matches else ""
