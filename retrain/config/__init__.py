"""The configuration: `retrain.toml`, or `[tool.retrain]` of `pyproject.toml`; checked whole, then frozen."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from retrain.config.files import find_config
from retrain.config.lookup import Lookup, look_up

if TYPE_CHECKING:
    from retrain.config.gate import GateConfig
    from retrain.config.load import load_config
    from retrain.config.pipeline import PipelineConfig
    from retrain.config.pruning import PruningConfig
    from retrain.config.schema import (
        CompareConfig,
        Config,
        DeployConfig,
        LimitConfig,
        ObjectiveConfig,
        PhaseConfig,
        SpaceConfig,
        SplitsConfig,
        StudyConfig,
    )

__all__ = [
    "CompareConfig",
    "Config",
    "DeployConfig",
    "GateConfig",
    "LimitConfig",
    "Lookup",
    "ObjectiveConfig",
    "PhaseConfig",
    "PipelineConfig",
    "PruningConfig",
    "SpaceConfig",
    "SplitsConfig",
    "StudyConfig",
    "find_config",
    "load_config",
    "look_up",
]

_ELSEWHERE = {
    "load_config": "load",
    "PipelineConfig": "pipeline",
    "PruningConfig": "pruning",
    "GateConfig": "gate",
}


def __getattr__(name: str) -> Any:
    """Load the schema when it is first used: reports get by with `look_up`."""
    if name in __all__:
        return getattr(import_module(f"retrain.config.{_ELSEWHERE.get(name, 'schema')}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
