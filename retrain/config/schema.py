"""The sections of the configuration, and the whole of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from retrain.config.declared import Declaring
from retrain.config.faults import FaultsError
from retrain.config.gate import GateConfig, named
from retrain.config.naming import OF_TABLES, checked_name, default_name
from retrain.config.pipeline import PipelineConfig
from retrain.config.pruning import PruningConfig
from retrain.config.section import Finite, Section, unknown
from retrain.config.space import build_space, names_of
from retrain.config.splits import SplitsConfig
from retrain.config.stages import StageConfig, faults_of_stages
from retrain.metrics import COSTS, METRICS, RANKING_METRICS, SPANS, direction_of
from retrain.models import MODELS
from tuner.direction import Direction
from tuner.errors import ConfigError, did_you_mean
from tuner.experiment import Value
from tuner.goals import Goals, Limit, Objective
from tuner.patterns import THRESHOLD
from tuner.space import SearchSpace

__all__ = [
    "BudgetConfig",
    "CompareConfig",
    "Config",
    "DeployConfig",
    "GateConfig",
    "LimitConfig",
    "ObjectiveConfig",
    "PhaseConfig",
    "SpaceConfig",
    "SplitsConfig",
    "StudyConfig",
]


class PhaseConfig(Section):
    """A search space: a preset, own parameters (which win), or both; and constraints.

    A preset may go without its model: "default" is that of the pipeline's model, or of each of several.
    """

    preset: str | None = None
    params: dict[str, dict[str, Any]] = Field(default_factory=dict)
    constraints: Annotated[tuple[dict[str, Any], ...], Field(strict=False)] = ()

    @field_validator("params", mode="before")
    @classmethod
    def _may_be_lists(cls, params: Any) -> Any:
        """A list in the place of a table holds choices, as it does for Ray Tune and scikit-learn."""
        if not isinstance(params, dict):
            return params
        return {
            name: {"type": "categorical", "choices": spec} if isinstance(spec, list) else spec
            for name, spec in params.items()
        }

    @field_validator("preset")
    @classmethod
    def _is_preset(cls, preset: str | None) -> str | None:
        from tuner.presets import APPETITES, PRESETS

        if preset is not None and preset not in (*APPETITES, *PRESETS):
            raise ValueError(unknown(preset, (*APPETITES, *PRESETS), "preset"))
        return preset


class SpaceConfig(PhaseConfig):
    """The search space, and those of later phases by name."""

    phases: dict[str, PhaseConfig] = Field(default_factory=dict)

    @field_validator("phases")
    @classmethod
    def _have_names(cls, phases: dict[str, PhaseConfig]) -> dict[str, PhaseConfig]:
        for name in phases:
            checked_name(name)
        return phases


class DeployConfig(Section):
    """Where what is deployed lives, relative to the configuration.

    Attributes:
        target: the file that holds the hyperparameters: a Python module, or .json .toml .yaml; None for none.
        prefix: what the names of the constants begin with, in a Python module.
        section: the dotted key under which they stand, in the other formats.
        versions: folder of the model versions.
        rivals: how many of the best experiments a plain `retrain` scores along, to see whether they have
            overtaken what is deployed; 0 for none.
        golden_rows: so many rows of the training data are kept with a version, with what its model predicts;
            0 keeps none.
    """

    target: str | None = None
    prefix: str = ""
    section: str | None = None
    versions: str = "versions"
    rivals: int = Field(3, ge=0, le=100)
    golden_rows: int = Field(20, ge=0, le=1000)


class ObjectiveConfig(Section):
    """A metric that the search optimises beside the pipeline's own.

    Attributes:
        metric: its name.
        direction: whether less or more of it is better; needed where it is no known metric.
    """

    metric: str = Field(min_length=1)
    direction: Literal["minimize", "maximize"] | None = None

    @model_validator(mode="after")
    def _has_a_direction(self) -> Self:
        known = direction_of(self.metric)
        if self.direction is None and known is None:
            near = did_you_mean(self.metric, [*COSTS, *METRICS, *RANKING_METRICS])
            fault = f"must be 'minimize' or 'maximize': the metric {self.metric!r} is no known one.{near}"
            raise FaultsError([("direction", fault)])
        if known is not None and self.direction not in (None, known):
            raise FaultsError([("direction", f"must be {known.value!r} (or left out) for {self.metric}.")])
        return self


class LimitConfig(Section):
    """What a metric has to keep: an experiment that does not is infeasible, and never the best.

    Attributes:
        metric: its name.
        min, max: the bounds, at least one.
    """

    metric: str = Field(min_length=1)
    min: Finite | None = None
    max: Finite | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("needs min, max or both.")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min <= max must hold, but got min={self.min}, max={self.max}.")
        return self


class StudyConfig(Section):
    """The campaign.

    Attributes:
        name: in the registry; the pipeline's name by default.
        seed: of a new study.
        warm_start: names of earlier studies of the same registry, which inform the search.
        memory: whether similar studies of the same registry inform it unnamed; or how similar they must be,
            in (0, 1].
    """

    name: str | None = None
    seed: int = Field(0, ge=0, lt=2**63)
    warm_start: Annotated[tuple[str, ...], Field(strict=False)] = ()
    memory: bool | Annotated[float, Field(gt=0, le=1)] = False

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str | None) -> str | None:
        return name if name is None else checked_name(name)

    @property
    def similarity(self) -> float | None:
        """How similar a study must be to be learned from unnamed; None for not at all."""
        if isinstance(self.memory, bool):
            return THRESHOLD if self.memory else None
        return self.memory

    @field_validator("warm_start", mode="before")
    @classmethod
    def _may_be_one(cls, names: Any) -> Any:
        return [names] if isinstance(names, str) else names


class CompareConfig(Section):
    """What `orchestrator compare` compares.

    Attributes:
        site: the column whose values are the sites; that of splits.group where it is left out.
        train_on: what models are trained on: "all" sites, the "others" than the one that they are tested on,
            or a site's "own" rows.
        metrics: further ones to score the test rows by.
        spaces: the search space of a model, by its name, instead of its default preset.
    """

    site: str | None = None
    train_on: Annotated[tuple[Literal["all", "others", "own"], ...], Field(strict=False, min_length=1)] = (
        "all",
        "others",
    )
    metrics: Annotated[tuple[str, ...], Field(strict=False)] = ()
    spaces: dict[str, PhaseConfig] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        faults = [
            ("metrics", unknown(each, METRICS, "metric")) for each in self.metrics if each not in METRICS
        ]
        faults += [
            (f"spaces.{each}", unknown(each, MODELS, "model")) for each in self.spaces if each not in MODELS
        ]
        FaultsError.raise_if(faults)
        return self


class BudgetConfig(Section):
    """What running costs.

    Attributes:
        cost_per_hour: of one worker, in whatever unit: a run says before it begins what it may cost.
    """

    cost_per_hour: Finite | None = Field(None, gt=0)


class Config(Section):
    """The whole configuration.

    Attributes:
        name: of the pipeline: what deployments of it are called.
        root: folder of the file; relative paths start here.
        source: the file it was read from.
        db: URL of the registry, a relative SQLite path made absolute.
        allow_network_fs: whether it may be written on a network file system.
    """

    name: str = ""
    db: str = "sqlite:///experiments.db"
    allow_network_fs: bool = False
    pipeline: PipelineConfig
    splits: SplitsConfig = SplitsConfig()
    space: SpaceConfig = SpaceConfig()
    deploy: DeployConfig = DeployConfig()
    objective: Annotated[tuple[ObjectiveConfig, ...], Field(strict=False)] = ()
    limit: Annotated[tuple[LimitConfig, ...], Field(strict=False)] = ()
    gate: Annotated[tuple[GateConfig, ...], Field(strict=False)] = ()
    study: StudyConfig = StudyConfig()
    compare: CompareConfig = CompareConfig()
    budget: BudgetConfig = BudgetConfig()
    pruning: PruningConfig = PruningConfig()
    stages: Annotated[tuple[StageConfig, ...], Field(strict=False)] = ()
    root: Path = Field(Path(), exclude=True)
    source: Path = Field(Path("retrain.toml"), exclude=True)
    _phase: str | None = PrivateAttr(None)
    _held: Mapping[str, Value] = PrivateAttr(default_factory=dict)
    _joined: tuple[str | None, ...] = PrivateAttr(())

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str) -> str:
        return checked_name(name)

    @field_validator("gate")
    @classmethod
    def _have_names(cls, gates: tuple[GateConfig, ...]) -> tuple[GateConfig, ...]:
        return named(gates)

    @model_validator(mode="before")
    @classmethod
    def _named_after_what_it_runs(cls, document: Any) -> Any:
        if (
            isinstance(document, dict)
            and "name" not in document
            and isinstance(document.get("pipeline"), dict)
        ):
            return {**document, "name": default_name(document["pipeline"])}
        return document

    @model_validator(mode="after")
    def _goals_are_of_other_metrics(self) -> Self:
        own = self.pipeline.metric
        for section in ("objective", "limit"):
            given = [each.metric for each in getattr(self, section)]
            faults = [
                (f"{section}[{i}].metric", _fault_of_goal(metric, own, given[:i], self.pipeline.kind))
                for i, metric in enumerate(given)
            ]
            FaultsError.raise_if([(key, fault) for key, fault in faults if fault])
        return self

    @model_validator(mode="after")
    def _steps_suit_the_pipeline(self) -> Self:
        FaultsError.raise_if(list(self.pruning.faults_for(self.pipeline)))
        return self

    @model_validator(mode="after")
    def _tune_rows_suit_the_pipeline(self) -> Self:
        if self.splits.tune_rows is not None and self.pipeline.kind not in OF_TABLES:
            fault = f"has no meaning for kind = {self.pipeline.kind!r}: only for {', '.join(OF_TABLES)}."
            raise FaultsError([("splits.tune_rows", fault)])
        return self

    @model_validator(mode="after")
    def _gates_suit_the_pipeline(self) -> Self:
        faults = []
        for i, gate in enumerate(self.gate):
            if gate.name in [other.name for other in self.gate[:i]]:
                faults.append((f"gate[{i}].name", f"is there twice: {gate.name!r}."))
            scored = gate.metric.removeprefix("test_")
            known = _metrics_of_gates(self.pipeline.kind, by=gate.by is not None)
            if gate.check is None and known and scored not in known:
                faults.append((f"gate[{i}].metric", unknown(scored, known, "metric")))
            if gate.by and self.pipeline.kind == "ranking":
                faults.append((f"gate[{i}].by", "has no meaning for kind = 'ranking'."))
            if gate.repeats and self.splits.time is not None:
                faults.append(
                    (f"gate[{i}].repeats", "must be 0 with splits.time: there is one order of time.")
                )
        FaultsError.raise_if(faults)
        return self

    @model_validator(mode="after")
    def _splits_suit_the_pipeline(self) -> Self:
        if self.pipeline.kind == "ranking":
            faults = []
            if self.splits.group is not None:
                faults.append(("splits.group", "has no meaning for kind = 'ranking': users stay together."))
            if self.splits.time is not None and self.pipeline.held_out == "ratings":
                faults.append(("splits.time", "needs held_out = 'users': of whom the earliest are known."))
            FaultsError.raise_if(faults)
        return self

    @model_validator(mode="after")
    def _stages_suit_the_pipeline(self) -> Self:
        FaultsError.raise_if(list(faults_of_stages(self.stages, self.pipeline.kind, self.pipeline.models)))
        return self

    @property
    def goals(self) -> Goals:
        """What the study wants besides its metric."""
        objectives = ((each.metric, each.direction or direction_of(each.metric)) for each in self.objective)
        return Goals(
            tuple(Objective(metric, Direction(direction or "")) for metric, direction in objectives),
            tuple(Limit(each.metric, each.min, each.max) for each in self.limit),
        )

    @property
    def study_name(self) -> str:
        """The study's name: its own, or the pipeline's."""
        return self.study.name or self.name

    @property
    def phase(self) -> str | None:
        """The later phase that this is the configuration of; None for `[space]` itself."""
        return self._phase

    @property
    def held(self) -> Mapping[str, Value]:
        """What is deployed of other phases: given to every experiment, besides what is `fixed`."""
        return self._held

    def in_phase(self, name: str) -> Self:
        """The configuration of a later phase: its own space, and a study of its own, `<study>-<phase>`.

        Raises:
            ConfigError: no such phase, or names that are too long together.
        """
        known = self.space.phases
        if name not in known:
            raise ConfigError(
                f"Unknown phase {name!r}.{did_you_mean(name, known)}",
                f"Phases in {self.source.name}: {', '.join(known) or 'none'}. Add [space.phases.{name}].",
            )
        try:
            study = self.study.model_copy(update={"name": checked_name(f"{self.study_name}-{name}")})
        except ValueError as error:
            raise ConfigError(
                f"The name of a phase's study, <study>-<phase>, {error}", "Give the phase a shorter name."
            ) from None
        config = self.model_copy(update={"study": study})
        config._phase = name
        return config

    @property
    def second_phase(self) -> str:
        """What `--phase2` means: the phase called "phase2", else the first after `[space]` itself.

        Raises:
            ConfigError: there is none.
        """
        phases = self.space.phases
        if not phases:
            raise ConfigError(
                f"--phase2 needs a second phase, but {self.source.name} has none.",
                "Add [space.phases.phase2], or under another name.",
            )
        return "phase2" if "phase2" in phases else next(iter(phases))

    def holding(self, held: Mapping[str, Value]) -> Self:
        """The same with `held` given to every experiment."""
        pipeline = self.pipeline.model_copy(update={"fixed": {**self.pipeline.fixed, **held}})
        config = self.model_copy(update={"pipeline": pipeline})
        config._held = dict(held)
        return config

    def releasing(self, phases: Sequence[str | None]) -> Self:
        """The same with nothing held, and the spaces of other phases (None: `[space]`) joined to its own."""
        pipeline = self.pipeline.model_copy(update={"fixed": self._fixed})
        config = self.model_copy(update={"pipeline": pipeline})
        config._held, config._joined = {}, tuple(phases)
        return config

    @property
    def _fixed(self) -> dict[str, Any]:
        """What the file fixes, without what is held."""
        return {name: value for name, value in self.pipeline.fixed.items() if name not in self._held}

    @property
    def has_space(self) -> bool:
        """Whether the file has a space for its phase; a pipeline of the user's own may bring one."""
        section = self._section(self.phase)
        return section.preset is not None or bool(section.params)

    @property
    def own_names(self) -> tuple[str, ...]:
        """The parameters that its phase searches, by name; empty where only the pipeline knows them."""
        return self.names_in(self.phase)

    def names_in(self, phase: str | None) -> tuple[str, ...]:
        """The same of any phase; None for `[space]` itself."""
        return names_of(self._section(phase), self._fixed, self._declaring)

    def _section(self, phase: str | None) -> PhaseConfig:
        return self.space if phase is None else self.space.phases[phase]

    @property
    def _declaring(self) -> Declaring:
        features: tuple[str, ...] = ()
        if self.pipeline.kind == "text":
            features = ("text" if self.pipeline.predicts == "label" else "spans",)
            features += ("about",) if self.pipeline.about else ()
        by_epochs = self.pruning.steps == "epochs"
        return Declaring(self.pipeline.models, self.pipeline.regresses, by_epochs, features)

    def search_space(self) -> SearchSpace:
        """Build the search space of its phase. Fixed parameters are taken out of it.

        Raises:
            ConfigError: nothing to search.
            SpaceError: parameters or constraints that contradict each other.
        """
        sections = [self._section(phase) for phase in (*self._joined, self.phase)]
        return build_space(sections, self.pipeline.fixed, self._declaring)


def _metrics_of_gates(kind: str, *, by: bool) -> Sequence[str]:
    """What a gate may be about, of the whole or by groups; empty where only the user's own code knows."""
    if kind in OF_TABLES:
        return tuple(METRICS) if by else (*COSTS, *METRICS, "best_iteration")
    return (*COSTS, *RANKING_METRICS) if kind == "ranking" else ()


def _fault_of_goal(metric: str, own: str | None, before: Sequence[str], kind: str) -> str:
    """Why a metric cannot be an objective or limit of its own; "" where it can."""
    if metric == own:
        return "is the pipeline's own metric already: name another."
    if metric in before:
        return f"is there twice: {metric!r}."
    if kind in OF_TABLES and metric not in METRICS and metric not in COSTS:
        return unknown(metric, [*COSTS, *METRICS], "metric")
    if kind == "ranking" and metric not in RANKING_METRICS:
        return unknown(metric, RANKING_METRICS, "metric of a ranking")
    if own in METRICS and SPANS in METRICS[str(own)].tasks:  # labels have metrics of their own beside it
        return ""
    tasks = [set(METRICS[name].tasks) for name in (metric, own) if name is not None and name in METRICS]
    if kind in OF_TABLES and tasks and not set.intersection(*tasks):
        return f"is not defined where {own} is: {metric!r}."
    return ""
