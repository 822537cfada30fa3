"""The sections of the configuration. Each is frozen, refuses unknown keys, and converts nothing silently."""

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from retrain.config.faults import FaultsError
from retrain.config.space import build_space
from retrain.metrics import METRICS, get_metric
from retrain.models import MODELS
from tuner.errors import ConfigError, did_you_mean
from tuner.experiment import Direction
from tuner.space import SearchSpace

__all__ = [
    "BUILT_IN_DATA",
    "Config",
    "DeployConfig",
    "GateConfig",
    "PhaseConfig",
    "PipelineConfig",
    "SpaceConfig",
    "SplitsConfig",
    "StudyConfig",
]

BUILT_IN_DATA = ("breast_cancer", "diabetes", "digits", "iris", "wine")
"""The data sets that scikit-learn carries with it, by name: nothing is downloaded."""

KINDS = ("tabular", "command")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
PARAMS_PLACEHOLDER = "{params}"

Texts = Annotated[tuple[str, ...], Field(strict=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PipelineConfig(_Section):
    """What one experiment runs.

    Attributes:
        kind: "tabular", "command", or a Python object as "package.module:attr" or "path/to/file.py:attr".
        model: a name of `retrain.models.MODELS` (tabular).
        data: a CSV or Parquet file, relative to the configuration, or a name of `BUILT_IN_DATA` (tabular).
        target: the column to predict; a built-in data set has its own (tabular).
        metric: the number that is optimised; "value" by default for a program or a Python function.
        direction: taken from the metric where that is known.
        drop: columns that are not features (tabular).
        fixed: hyperparameters that are given to every experiment and not searched.
        command: the program and its arguments (command).
        params_as: how the program is given its parameters: as flags, as JSON on stdin, or as a JSON file.
    """

    kind: str = "tabular"
    model: str | None = None
    data: str | None = None
    target: str | None = None
    metric: str | None = None
    direction: Annotated[Direction | None, Field(strict=False)] = None
    drop: Texts = ()
    fixed: dict[str, float | int | str | bool] = {}
    command: str | Texts | None = None
    params_as: Literal["flags", "json", "file"] = "flags"

    @field_validator("kind")
    @classmethod
    def _is_known(cls, kind: str) -> str:
        module, _, attribute = kind.rpartition(":")
        if kind in KINDS or (module and attribute.isidentifier()):
            return kind
        raise ValueError(
            f"must be 'tabular', 'command', 'package.module:attr' or 'path/to/file.py:attr', "
            f"but got {kind!r}." + did_you_mean(kind, KINDS)
        )

    @field_validator("model")
    @classmethod
    def _is_model(cls, model: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("kind") == "tabular" and model is not None and model not in MODELS:
            raise ValueError(_unknown(model, MODELS, "model"))
        return model

    @field_validator("metric")
    @classmethod
    def _is_metric(cls, metric: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("kind") == "tabular" and metric is not None and metric not in METRICS:
            raise ValueError(_unknown(metric, METRICS, "metric"))
        return metric

    @model_validator(mode="after")
    def _suits_its_kind(self) -> Self:
        faults = {"tabular": self._tabular_faults, "command": self._command_faults}.get(
            self.kind, self._python_faults
        )
        FaultsError.raise_if(list(faults()))
        return self

    def _tabular_faults(self) -> Iterable[tuple[str, str]]:
        for key in ("model", "data", "metric"):
            if getattr(self, key) is None:
                yield key, "is needed for kind = 'tabular'."
        if self.data is not None and self.target is None and self.data not in BUILT_IN_DATA:
            yield "target", "is needed: the column of the data to predict."
        yield from self._meaningless("command", "params_as")
        if self.metric is not None and self.direction not in (None, get_metric(self.metric).direction):
            yield (
                "direction",
                f"must be {get_metric(self.metric).direction.value!r} (or left out) for {self.metric}.",
            )

    def _command_faults(self) -> Iterable[tuple[str, str]]:
        if not self.command:
            yield "command", "is needed for kind = 'command'."
        elif isinstance(self.command, str):
            try:
                if not shlex.split(self.command):
                    yield "command", "must name a program."
            except ValueError as error:
                yield "command", f"cannot be split into words: {error}."
        if self.params_as == "json" and PARAMS_PLACEHOLDER in str(self.command):
            yield (
                "command",
                f"must not hold {PARAMS_PLACEHOLDER} with params_as = 'json': they come on stdin.",
            )
        yield from self._meaningless("model", "data", "target", "drop")
        yield from self._direction_faults()

    def _python_faults(self) -> Iterable[tuple[str, str]]:
        yield from self._meaningless("command", "params_as")

    def _direction_faults(self) -> Iterable[tuple[str, str]]:
        if self.direction is None and self.metric not in METRICS:
            yield "direction", "must be 'minimize' or 'maximize': the metric is none of the known ones."

    def _meaningless(self, *keys: str) -> Iterable[tuple[str, str]]:
        for key in keys:
            if getattr(self, key) != type(self).model_fields[key].default:
                yield key, f"has no meaning for kind = {self.kind!r}."

    @property
    def words(self) -> tuple[str, ...]:
        """The command as words: a text is split as a shell would, without running one."""
        return tuple(shlex.split(self.command)) if isinstance(self.command, str) else self.command or ()


class SplitsConfig(_Section):
    """How rows are held out.

    Attributes:
        folds: number of folds of the cross-validation, >= 2.
        repeats: how often it is repeated with other folds, >= 1.
        holdout: share of the rows that no search sees, in (0, 0.9].
        group: column whose rows of one value stay together.
        time: column by which rows are ordered; what comes later is never learned from.
        seed: of the holdout. The folds follow the seed of the study.
    """

    folds: int = Field(5, ge=2, le=1000)
    repeats: int = Field(1, ge=1, le=1000)
    holdout: float = Field(0.2, gt=0, le=0.9)
    group: str | None = None
    time: str | None = None
    seed: int = Field(0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _is_one_design(self) -> Self:
        faults = []
        if self.group is not None and self.time is not None:
            faults.append(("time", "and splits.group cannot be used together."))
        if self.time is not None and self.repeats > 1:
            faults.append(("repeats", "must be 1 with splits.time: there is one order of time."))
        FaultsError.raise_if(faults)
        return self


class PhaseConfig(_Section):
    """A search space: a preset, own parameters (which win), or both; and constraints."""

    preset: str | None = None
    params: dict[str, dict[str, Any]] = {}
    constraints: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = ()

    @field_validator("preset")
    @classmethod
    def _is_preset(cls, preset: str | None) -> str | None:
        from tuner.presets import PRESETS

        if preset is not None and preset not in PRESETS:
            raise ValueError(_unknown(preset, PRESETS, "preset"))
        return preset


class SpaceConfig(PhaseConfig):
    """The search space, and those of later phases by name."""

    phases: dict[str, PhaseConfig] = {}


class DeployConfig(_Section):
    """Where what is deployed lives, relative to the configuration.

    Attributes:
        target: the file that holds the hyperparameters: a Python module, or .json .toml .yaml; None for none.
        prefix: what the names of the constants begin with, in a Python module.
        section: the dotted key under which they stand, in the other formats.
        versions: folder of the model versions.
    """

    target: str | None = None
    prefix: str = ""
    section: str | None = None
    versions: str = "versions"


class GateConfig(_Section):
    """What `metric` must reach before anything is deployed. At least one bound; all of them must hold.

    Attributes:
        metric: a metric of the holdout, `test_<name>`, or of the cross-validation.
        min, max: absolute bounds.
        min_improvement: by how much it must be better than what is deployed, in the metric's own unit.
        max_drop: by how much it may be worse than what is deployed.
    """

    metric: str
    min: Finite | None = None
    max: Finite | None = None
    min_improvement: Finite | None = None
    max_drop: Annotated[Finite, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        bounds = (self.min, self.max, self.min_improvement, self.max_drop)
        if all(bound is None for bound in bounds):
            raise ValueError("needs at least one of min, max, min_improvement, max_drop.")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min <= max must hold, but got min={self.min}, max={self.max}.")
        return self


class StudyConfig(_Section):
    """The campaign: its name in the registry (the pipeline's name by default) and its seed."""

    name: str | None = None
    seed: int = Field(0, ge=0, lt=2**63)

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str | None) -> str | None:
        return name if name is None else _checked_name(name)


class Config(_Section):
    """The whole configuration.

    Attributes:
        name: of the pipeline: what deployments of it are called.
        root: folder of the file; relative paths start here.
        source: the file it was read from.
        db: URL of the registry, a relative SQLite path made absolute.
    """

    name: str = ""
    db: str = "sqlite:///experiments.db"
    pipeline: PipelineConfig
    splits: SplitsConfig = SplitsConfig()
    space: SpaceConfig = SpaceConfig()
    deploy: DeployConfig = DeployConfig()
    gate: Annotated[tuple[GateConfig, ...], Field(strict=False)] = ()
    study: StudyConfig = StudyConfig()
    root: Path = Field(Path(), exclude=True)
    source: Path = Field(Path("retrain.toml"), exclude=True)

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str) -> str:
        return _checked_name(name)

    @model_validator(mode="before")
    @classmethod
    def _named_after_what_it_runs(cls, document: Any) -> Any:
        if (
            isinstance(document, dict)
            and "name" not in document
            and isinstance(document.get("pipeline"), dict)
        ):
            return {**document, "name": _default_name(document["pipeline"])}
        return document

    @property
    def study_name(self) -> str:
        """The study's name: its own, or the pipeline's."""
        return self.study.name or self.name

    def search_space(self, phase: str | None = None) -> SearchSpace:
        """Build the search space, or that of a later phase. Fixed parameters are taken out of it.

        Raises:
            ConfigError: no such phase, or nothing to search.
            SpaceError: parameters or constraints that contradict each other.
        """
        section: PhaseConfig = self.space
        if phase is not None:
            if phase not in self.space.phases:
                known = ", ".join(self.space.phases) or "none"
                raise ConfigError(
                    f"Unknown phase {phase!r}.{did_you_mean(phase, self.space.phases)}",
                    f"Phases in {self.source.name}: {known}. Add [space.phases.{phase}].",
                )
            section = self.space.phases[phase]
        default = f"{self.pipeline.model}/default" if self.pipeline.kind == "tabular" else None
        return build_space(section, fixed=self.pipeline.fixed, default_preset=default)


def _unknown(name: str, known: Iterable[str], what: str) -> str:
    return f"is an unknown {what}, {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}."


def _checked_name(name: str) -> str:
    if NAME.fullmatch(name) is None:
        raise ValueError(
            "must be 1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit, "
            f"but got {name!r}."
        )
    return name


def _default_name(pipeline: dict[str, Any]) -> str:
    """`<model>-<data>`, or what the program or Python object is called; always a valid name."""
    kind = str(pipeline.get("kind", "tabular"))
    if kind == "tabular":
        name = f"{pipeline.get('model')}-{Path(str(pipeline.get('data'))).stem}"
    elif kind == "command":
        command = pipeline.get("command") or "command"
        words = command.split() if isinstance(command, str) else [str(word) for word in command]
        files = [word for word in words if Path(word).suffix and not word.startswith("-")]
        name = Path((files or words)[0]).stem
    else:
        name = kind.rpartition(":")[2]
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip("._-")[:64] or "pipeline"
