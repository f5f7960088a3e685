"""What Hydra itself may build and run: its own part of a configuration, which it acts on before any job starts.

An experiment is a file, perhaps of a stranger, and may hold a ``hydra`` node like any other.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import hydra._internal.hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException
from omegaconf.grammar_parser import parse

from mri_cyclegan.configuration.literal_overrides import literal_overrides
from mri_cyclegan.configuration.named_targets import named_in_folders, named_in_overrides
from mri_cyclegan.trusted_classes import trust

# Classes that callbacks, launchers and sweepers may be, or have among their settings.
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

# Commands and environment of jobs: who types the command may give them, a file may not.
TYPED_ONLY = (
    "job.env_set",
    "launcher.setup",
    "launcher.python",
    "launcher.srun_args",
    "launcher.ray.init.runtime_env",
    "launcher.ray.remote.runtime_env",
    "sweeper.custom_search_space",
)


def install() -> None:
    """Let Hydra check every configuration that it composes from here on."""
    hydra._internal.hydra.ConfigLoaderImpl = CheckedLoader  # type: ignore[misc]


class CheckedLoader(ConfigLoaderImpl):
    """Composes configurations as Hydra does, refuses some, and takes values that its grammar cannot read as text.

    Attributes:
        typed: keys that the command line gives; a configuration could add to those that Hydra remembers.
        named: classes that the user has named, see :mod:`mri_cyclegan.configuration.named_targets`.
    """

    typed: Sequence[str] | None = None
    named: Collection[str] = ()

    def load_configuration(
        self, config_name: str | None, overrides: list[str], *args: Any, **kwargs: Any
    ) -> DictConfig:
        """Compose.

        Raises:
            ConfigCompositionException: Hydra would build or run what is not allowed.
        """
        config = super().load_configuration(config_name, literal_overrides(overrides), *args, **kwargs)
        if self.typed is None:
            self.typed = [override.lstrip("+~").partition("=")[0] for override in overrides]
            self.named = named_in_overrides(overrides) | named_in_folders(self._config_dirs())
        trust(self.named)  # in each process that composes, such as that of a sweep's job
        if "hydra" in config:
            check_hydra_node(config.hydra, self.typed)
        return config

    def _config_dirs(self) -> list[Path]:
        """Folders of ``--config-dir``."""
        found = [element for element in self.config_search_path.get_path() if element.provider == "command-line"]
        return [Path(str(element.path).removeprefix("file://")) for element in found]


def check_hydra_node(node: DictConfig, typed: Sequence[str]) -> None:
    """Refuse what would run code, and replace references by what they mean now: they could mean something else later.

    Args:
        node: Hydra's own part of a configuration.
        typed: keys that the command line gives a value.

    Raises:
        ConfigCompositionException: the message names the key.
    """
    for part in ("callbacks", "launcher", "sweeper"):
        for key, value in _made_plain(OmegaConf.select(node, part), f"hydra.{part}"):
            if key.endswith("._target_") and not ALLOWED_TARGETS.fullmatch(str(value)):
                raise ConfigCompositionException(f"{key}: {value} may not be built from a configuration.")
            if part == "launcher" and not f"{key}{value}".isprintable():  # it may become a line of a job script
                raise ConfigCompositionException(f"{key!r}: expected one line, got {value!r}.")
    for part in ("job_logging", "hydra_logging"):
        for key, value in _made_plain(OmegaConf.select(node, part), f"hydra.{part}"):
            _check_logging(key, str(value), typed)
    for key in ("job.name", "output_subdir"):  # of a file and a folder below the run's
        name = OmegaConf.select(node, key)
        if name is not None and "/" in str(name):
            raise ConfigCompositionException(f"hydra.{key}: expected a name, got {name}.")
    for key in OmegaConf.select(node, "sweeper.params") or ():
        if str(key).lstrip("+~").startswith("hydra"):
            raise ConfigCompositionException(f"hydra.sweeper.params: {key} may not be swept.")
    for part in TYPED_ONLY:
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
    """Keys below which something is given: lists are given as a whole."""
    if isinstance(value, DictConfig):
        for name in value:
            yield from _given(value._get_node(name), f"{key}.{name!s}")
    elif value is not None:
        yield key


def _made_plain(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Key and value of everything below a node that is neither a list nor a mapping.

    Raises:
        ConfigCompositionException: a value is now, or may become, a node of its own, or is what will be built.
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
            yield from _made_plain(node[name], place)


def _referred(node: DictConfig | ListConfig, name: Any, place: str) -> Any:
    """What a reference means, which takes its place; its text where that is not known yet, but will be a text."""
    text = node._get_node(name)._value()  # type: ignore[union-attr]
    try:
        value = node[name]
    except OmegaConfBaseException:
        value = text if parse(text).getChild(0).getChildCount() > 1 else None  # a reference among words
    is_text_with_one = isinstance(value, str) and "${" in value and value != text
    is_plain = not (value is None or is_text_with_one or isinstance(value, DictConfig | ListConfig))
    if not is_plain or place.endswith(NOT_BY_REFERENCE):
        raise ConfigCompositionException(f"{place}: expected a plain value, got {text}.")
    if value != text:
        with read_write(node), open_dict(node):
            node[name] = value
    return value
