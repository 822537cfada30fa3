"""The `[[stages]]`: a search in several steps, each more thorough than the last and begun with its best."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pydantic import Field, field_validator

from retrain.config.naming import OF_TABLES, WITH_FOLDS, checked_name
from retrain.config.section import Section, unknown
from retrain.models import MODELS
from tuner.errors import ConfigError
from tuner.experiment import Value
from tuner.generators import METHODS

if TYPE_CHECKING:
    from retrain.config.schema import Config

__all__ = ["FidelityConfig", "StageConfig", "faults_of_stages", "in_stage"]


class FidelityConfig(Section):
    """How thoroughly a stage scores. What is left out is as in the whole configuration.

    Attributes:
        folds, repeats: of its cross-validation.
        rows: share of the rows to train on, in (0, 1]; `[splits] tune_rows` of the stage.
        epochs: how many for the models that learn in epochs.
        rounds: how many for those that learn in rounds, as their `n_estimators`.
        fixed: parameters that are not searched in it.
    """

    folds: int | None = Field(None, ge=2, le=1000)
    repeats: int | None = Field(None, ge=1, le=1000)
    rows: float | None = Field(None, gt=0, le=1)
    epochs: int | None = Field(None, ge=1)
    rounds: int | None = Field(None, ge=1)
    fixed: dict[str, Value] = Field(default_factory=dict)

    def fixed_for(self, models: Sequence[str]) -> dict[str, Value]:
        """All that is not searched: `fixed`, and epochs and rounds by the names that they have for models."""
        given = (("epochs", self.epochs, "epochs"), ("rounds", self.rounds, "n_estimators"))
        found: dict[str, Value] = {}
        for unit, n, name in given:
            for model in _learning_in(unit, models) if n is not None else ():
                found[name if len(models) == 1 else f"{model}_{name}"] = n
        return {**found, **self.fixed}


class StageConfig(Section):
    """One stage.

    Attributes:
        name: of it; its study is `<study>-<name>`.
        configs: how many candidates, besides the best of the last stage.
        method: what proposes them.
        narrow: the share of each range of the last stage that it searches, in (0, 1]; of no meaning for the
            first. 1, the default, is all of it: what was cut off early does not come back, which was measured
            to cost more than it saves (`benchmarks/stages.py`).
        fidelity: how thoroughly it scores.
    """

    name: str
    configs: int = Field(ge=1)
    method: str = "bayesian"
    narrow: float = Field(1.0, gt=0, le=1)
    fidelity: FidelityConfig = FidelityConfig()

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str) -> str:
        return checked_name(name)

    @field_validator("method")
    @classmethod
    def _is_method(cls, method: str) -> str:
        if method not in METHODS:
            raise ValueError(unknown(method, METHODS, "method"))
        return method


def _learning_in(unit: str, models: Sequence[str]) -> list[str]:
    """Those of the models whose number of epochs or rounds can be said."""
    if unit == "rounds":
        return [model for model in models if MODELS[model].learns_in_rounds]
    return [model for model in models if "epochs" in MODELS[model].params]


def faults_of_stages(
    stages: Sequence[StageConfig], kind: str, models: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """What is wrong with the stages of a pipeline of this kind, with these models: keys and sentences."""
    for i, stage in enumerate(stages):
        if stage.name in [other.name for other in stages[:i]]:
            yield f"stages[{i}].name", f"is there twice: {stage.name!r}."
        fidelity = stage.fidelity
        for key, given, kinds in (
            ("folds", fidelity.folds, WITH_FOLDS),
            ("repeats", fidelity.repeats, WITH_FOLDS),
            ("rows", fidelity.rows, OF_TABLES),
        ):
            if given is not None and kind not in kinds:
                yield (
                    f"stages[{i}].fidelity.{key}",
                    f"has no meaning for kind = {kind!r}: give a parameter in fidelity.fixed.",
                )
        for unit, n in (("epochs", fidelity.epochs), ("rounds", fidelity.rounds)):
            if n is not None and not _learning_in(unit, models):
                able = ", ".join(_learning_in(unit, tuple(MODELS)))
                yield f"stages[{i}].fidelity.{unit}", f"is for {able}: give a parameter in fidelity.fixed."


def in_stage(config: "Config", stage: StageConfig) -> "Config":
    """The configuration of a stage: its fidelity, and a study of its own, `<study>-<stage>`.

    Raises:
        ConfigError: names that are too long together.
    """
    try:
        name = checked_name(f"{config.study_name}-{stage.name}")
    except ValueError as error:
        raise ConfigError(
            f"The name of a stage's study, <study>-<stage>, {error}", "Give the stage a shorter name."
        ) from None
    fidelity = stage.fidelity
    given = {"folds": fidelity.folds, "repeats": fidelity.repeats, "tune_rows": fidelity.rows}
    splits = {key: value for key, value in given.items() if value is not None}
    settled = fidelity.fixed_for(config.pipeline.models)
    searched = {key: spec for key, spec in config.space.params.items() if key not in settled}
    fixed = {**config.pipeline.fixed, **settled}
    return config.model_copy(
        update={
            "study": config.study.model_copy(update={"name": name, "warm_start": ()}),
            "splits": config.splits.model_copy(update=splits),
            "space": config.space.model_copy(update={"params": searched}),
            "pipeline": config.pipeline.model_copy(update={"fixed": fixed}),
        }
    )
