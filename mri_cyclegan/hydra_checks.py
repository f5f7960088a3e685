"""What Hydra itself may build and run: its own part of a configuration, which it acts on before any job starts.

An experiment is a file, perhaps of a stranger, and may hold a ``hydra`` node like any other.
"""

import re
from collections.abc import Iterator
from typing import Any

import hydra._internal.hydra
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

# Classes that callbacks, launchers and sweepers may be, or have among their settings.
ALLOWED_TARGETS = re.compile(
    r"mri_cyclegan\.sweeping\.callback\.SweepCallback"
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
ALLOWED_STREAMS = ("ext://sys.stdout", "ext://sys.stderr")

# Commands and environment of jobs: who types the command may give them, a file may not.
TYPED_ONLY = (
    "job.env_set",
    "launcher.setup",
    "launcher.python",
    "launcher.srun_args",
    "launcher.ray.init.runtime_env",
    "launcher.ray.remote.runtime_env",
)


def install() -> None:
    """Let Hydra check every configuration that it composes from here on."""
    hydra._internal.hydra.ConfigLoaderImpl = CheckedLoader  # type: ignore[misc]


class CheckedLoader(ConfigLoaderImpl):
    """Composes configurations as Hydra does, and refuses some."""

    def load_configuration(self, *args: Any, **kwargs: Any) -> DictConfig:
        """Compose.

        Raises:
            ConfigCompositionException: Hydra would build or run what is not allowed.
        """
        config = super().load_configuration(*args, **kwargs)
        if "hydra" in config:
            check_hydra_node(config.hydra)
        return config


def check_hydra_node(node: DictConfig) -> None:
    """Refuse what would run code.

    Args:
        node: Hydra's own part of a configuration.

    Raises:
        ConfigCompositionException: the message names the key.
    """
    for part in ("callbacks", "launcher", "sweeper"):
        for key, value in _leaves(OmegaConf.select(node, part), f"hydra.{part}"):
            if key.endswith("._target_") and not ALLOWED_TARGETS.fullmatch(str(value)):
                raise ConfigCompositionException(f"{key}: {value} may not be built from a configuration.")
    for part in ("job_logging", "hydra_logging"):
        for key, value in _leaves(OmegaConf.select(node, part), f"hydra.{part}"):
            if key.endswith(BUILT_BY_LOGGING) and not ALLOWED_LOGGING.fullmatch(str(value)):
                raise ConfigCompositionException(f"{key}: {value} may not be built from a configuration.")
            if str(value).startswith("ext://") and value not in ALLOWED_STREAMS:
                raise ConfigCompositionException(f"{key}: expected {' or '.join(ALLOWED_STREAMS)}, got {value}.")
    typed = [word.lstrip("+~") for word in OmegaConf.select(node, "overrides.hydra") or ()]
    for key in TYPED_ONLY:
        if OmegaConf.select(node, key) and not any(word.startswith(f"hydra.{key}") for word in typed):
            raise ConfigCompositionException(f"hydra.{key}: may be given on the command line alone, not by a file.")


def _leaves(node: Any, key: str) -> Iterator[tuple[str, Any]]:
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
        if not OmegaConf.is_interpolation(node, name):
            yield from _leaves(node[name], place)
            continue
        text = node._get_node(name)._value()  # type: ignore[union-attr]
        try:
            value = node[name]
        except OmegaConfBaseException:
            value = None if text.startswith("${") and text.endswith("}") else text  # with words around it stays text
        if value is None or isinstance(value, DictConfig | ListConfig) or place.endswith(NOT_BY_REFERENCE):
            raise ConfigCompositionException(f"{place}: expected a plain value, got {text}.")
        yield place, value
