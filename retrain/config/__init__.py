"""The configuration: `retrain.toml`, or `[tool.retrain]` of `pyproject.toml`; checked whole, then frozen."""

from retrain.config.load import find_config, load_config
from retrain.config.pipeline import PipelineConfig
from retrain.config.schema import (
    Config,
    DeployConfig,
    GateConfig,
    PhaseConfig,
    SpaceConfig,
    SplitsConfig,
    StudyConfig,
)

__all__ = [
    "Config",
    "DeployConfig",
    "GateConfig",
    "PhaseConfig",
    "PipelineConfig",
    "SpaceConfig",
    "SplitsConfig",
    "StudyConfig",
    "find_config",
    "load_config",
]
