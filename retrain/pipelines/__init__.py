"""The ready-made pipelines, and `load_pipeline`, which builds the one that a configuration names."""

from typing import TYPE_CHECKING

from retrain.pipeline import Pipeline
from retrain.pipelines.objective import ObjectivePipeline

if TYPE_CHECKING:
    from retrain.config import Config

__all__ = ["ObjectivePipeline", "load_pipeline"]


def load_pipeline(config: "Config") -> Pipeline:
    """Build the pipeline of a configuration: not bound to its data yet, and picklable (by cloudpickle).

    Raises:
        ConfigError: the configuration names what does not exist.
        SpaceError: its search space cannot exist.
    """
    pipeline = _build(config)
    pipeline.goals = config.goals
    return pipeline


def _build(config: "Config") -> Pipeline:
    kind = config.pipeline.kind
    if kind == "tabular":
        from retrain.pipelines.tabular import TabularPipeline

        return TabularPipeline(config)
    if kind == "text":
        if config.pipeline.predicts != "label":
            from retrain.pipelines.text_evidence import EvidencePipeline

            return EvidencePipeline(config)
        from retrain.pipelines.text import TextPipeline

        return TextPipeline(config)
    if kind == "ranking":
        from retrain.pipelines.ranking import RankingPipeline

        return RankingPipeline(config)
    if kind == "command":
        from retrain.pipelines.command import CommandPipeline

        return CommandPipeline(config)
    from retrain.pipelines.python import load_python

    return load_python(config)
