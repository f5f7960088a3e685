"""What Hydra itself may build and run from the ``hydra`` node, which it acts on before any job starts.

An experiment file may come from a stranger, and may contain a ``hydra`` node like any other.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra._internal.hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException
from omegaconf.grammar_parser import parse

from mri_cyclegan.configuration.literal_overrides import literal_overrides
from mri_cyclegan.configuration.named_targets import named_in_file, named_in_overrides
from mri_cyclegan.trusted_classes import trust

# Classes allowed as callbacks, launchers and sweepers, or among their settings.
ALLOWED_TARGETS = re.compile(
    r"mri_cyclegan\.sweeps\.callback\.SweepCallback"
    r"|hydra\._internal\.core_plugins\.basic_(launcher\.BasicLauncher|sweeper\.BasicSweeper)"
    r"|hydra\.experimental\.callbacks\.(LogJobReturnCallback|PickleJobInfoCallback)"
    r"|hydra_plugins\.hydra_\w+\.\w+\.\w+(Launcher|Sweeper)(Conf)?"
    r"|optuna\.(samplers|pruners)\.\w+"
)
ALLOWED_LOGGING = re.compile(
    r"logging\.(StreamHandler|FileHandler|NullHandler|Formatter)|logging\.handlers\.(Timed)?RotatingFileHandler"
    r"|colorlog\.(ColoredFormatter|StreamHandler)"
)
BUILT_BY_LOGGING = (".class", ".()", ".factory")
NOT_BY_REFERENCE = ("._target_", *BUILT_BY_LOGGING)
LOG_FILE = re.compile(r"\$\{hydra\.runtime\.output_dir\}/([\w.-]|\$\{hydra\.job\.name\})+|hydra-\w+\.log")
ALLOWED_STREAMS = ("ext://sys.stdout", "ext://sys.stderr")

# Commands and environment of jobs: allowed on the command line, but not in a file.
COMMAND_LINE_ONLY = (
    "job.env_set",
    "launcher.setup",
    "launcher.python",
    "launcher.srun_args",
    "launcher.ray.init.runtime_env",
    "launcher.ray.remote.runtime_env",
    "sweeper.custom_search_space",
)


def use_checked_loader() -> None:
    """Make Hydra check every configuration that it composes from now on."""
    hydra._internal.hydra.ConfigLoaderImpl = CheckedLoader  # type: ignore[misc]


class CheckedLoader(ConfigLoaderImpl):
    """Composes configurations like Hydra, but rejects unsafe ones and takes values that it cannot parse as text.

    Attributes:
        typed: keys set on the command line; kept here since a configuration could add to Hydra's own list.
        named: classes that the user has named, see :mod:`mri_cyclegan.configuration.named_targets`.
    """

    typed: Sequence[str] | None = None
    named: frozenset[str] = frozenset()

    def load_configuration(
        self, config_name: str | None, overrides: list[str], *args: Any, **kwargs: Any
    ) -> DictConfig:
        """Compose and check a configuration.

        Raises:
            ConfigCompositionException: Hydra would build or run something that is not allowed.
        """
        config = super().load_configuration(config_name, literal_overrides(overrides), *args, **kwargs)
        if self.typed is None:
            self.typed = [override.lstrip("+~").partition("=")[0] for override in overrides]
            self.named |= named_in_overrides(overrides)
        trust(self.named)  # in each process that composes, such as a sweep job's
        if "hydra" in config:
            check_hydra_node(config.hydra, self.typed)
        return config

    def _load_single_config(self, default: Any, repo: Any) -> Any:
        """Load one file of the composition; classes in a file of ``--config-dir`` are named by the user."""
        result = super()._load_single_config(default, repo)
        if result.provider == "command-line":
            folder = Path(result.path.removeprefix("file://"))
            self.named |= named_in_file(OmegaConf.to_container(result.config), folder, default.config_path)
        return result


def check_hydra_node(node: DictConfig, typed: Sequence[str]) -> None:
    """Reject settings that would run code, and replace interpolations by their values, which could change later.

    Args:
        node: the ``hydra`` node of a configuration.
        typed: keys set on the command line.

    Raises:
        ConfigCompositionException: a setting is not allowed; the message names the key.
    """
    for part in ("callbacks", "launcher", "sweeper"):
        for key, value in _resolved_leaves(OmegaConf.select(node, part), f"hydra.{part}"):
            if key.endswith("._target_") and not ALLOWED_TARGETS.fullmatch(str(value)):
                raise ConfigCompositionException(f"{key}: {value} may not be built from a configuration.")
            if part == "launcher" and not f"{key}{value}".isprintable():  # it may become a line of a job script
                raise ConfigCompositionException(f"{key!r}: expected one line, got {value!r}.")
    for part in ("job_logging", "hydra_logging"):
        for key, value in _resolved_leaves(OmegaConf.select(node, part), f"hydra.{part}"):
            _check_logging(key, str(value), typed)
    for key in ("job.name", "output_subdir"):  # a file name and a folder name inside the run folder
        name = OmegaConf.select(node, key)
        if name is not None and "/" in str(name):
            raise ConfigCompositionException(f"hydra.{key}: expected a name, got {name}.")
    for key in OmegaConf.select(node, "sweeper.params") or ():
        if str(key).lstrip("+~").startswith("hydra"):
            raise ConfigCompositionException(f"hydra.sweeper.params: {key} may not be swept.")
    for part in COMMAND_LINE_ONLY:
        for key in _given(OmegaConf.select(node, part), f"hydra.{part}"):
            if key not in typed:
                raise ConfigCompositionException(f"{key}: may be given on the command line alone, not by a file.")


def _check_logging(key: str, text: str, typed: Sequence[str]) -> None:
    if key.endswith(BUILT_BY_LOGGING) and not ALLOWED_LOGGING.fullmatch(text):
        raise ConfigCompositionException(f"{key}: {text} may not be built from a configuration.")
    if text.startswith("ext://") and text not in ALLOWED_STREAMS:
        raise ConfigCompositionException(f"{key}: expected {' or '.join(ALLOWED_STREAMS)}, got {text}.")
    if key.endswith(".filename") and key not in typed and not LOG_FILE.fullmatch(text):
        raise ConfigCompositionException(f"{key}: expected a file in ${{hydra.runtime.output_dir}}, got {text}.")


def _given(value: Any, key: str) -> Iterator[str]:
    """Keys below a node that have a value; a list counts as one value."""
    if isinstance(value, DictConfig):
        for name in value:
            yield from _given(value._get_node(name), f"{key}.{name!s}")
    elif value is not None:
        yield key


def _resolved_leaves(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Yield key and value of every leaf below a node, with interpolations replaced by their values.

    Raises:
        ConfigCompositionException: an interpolation is or may become a node, or names something to be built.
    """
    if not isinstance(node, DictConfig | ListConfig) or node._is_none():
        yield key, node
        return
    for name in list(node) if isinstance(node, DictConfig) else range(len(node)):
        place = f"{key}.{name}"
        if OmegaConf.is_missing(node, name):
            continue
        if OmegaConf.is_interpolation(node, name):
            yield place, _referred(node, name, place)
        else:
            yield from _resolved_leaves(node[name], place)


def _referred(node: DictConfig | ListConfig, name: Any, place: str) -> Any:
    """Resolve an interpolation in place; if not possible yet, but it is part of a longer text, return that text."""
    text = node._get_node(name)._value()  # type: ignore[union-attr]
    try:
        value = node[name]
    except OmegaConfBaseException:
        value = text if parse(text).getChild(0).getChildCount() > 1 else None  # part of a longer text
    is_text_with_one = isinstance(value, str) and "${" in value and value != text
    is_plain = not (value is None or is_text_with_one or isinstance(value, DictConfig | ListConfig))
    if not is_plain or place.endswith(NOT_BY_REFERENCE):
        raise ConfigCompositionException(f"{place}: expected a plain value, got {text}.")
    if value != text:
        with read_write(node), open_dict(node):
            node[name] = value
    return value
