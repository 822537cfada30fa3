"""The `[pipeline]` section: what one experiment runs. What a key means depends on the kind."""

import shlex
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from retrain.config.faults import FaultsError
from retrain.config.naming import OF_TABLES, WITH_FOLDS
from retrain.config.section import Section, Texts, unknown
from retrain.metrics import METRICS, RANKING_METRICS, REGRESSION, SPANS, get_metric
from retrain.models import MODELS, check_metric
from tuner.errors import ConfigError, did_you_mean
from tuner.experiment import Direction

__all__ = [
    "BUILT_IN_DATA",
    "OF_COMMANDS",
    "OF_MODELS",
    "OF_RANKINGS",
    "OF_TEXTS",
    "PARAMS_PLACEHOLDER",
    "PipelineConfig",
]

BUILT_IN_DATA = ("breast_cancer", "diabetes", "digits", "iris", "wine")
"""The data sets that scikit-learn carries with it, by name: nothing is downloaded."""

PARAMS_PLACEHOLDER = "{params}"
"""Stands for the parameters, or the file that holds them, in a command."""

KINDS = (*WITH_FOLDS, "command")

OF_TEXTS = ("text", "about", "spans", "architecture")
OF_MODELS = ("model", "data", "target", "drop", "trusted", *OF_TEXTS, "early_stopping_rounds")
"""The keys of pipelines that fit models of ours."""

OF_RANKINGS = ("scorer", "items", "user", "item", "held_out", "known")
OF_COMMANDS = ("command", "params_as")


class PipelineConfig(Section):
    """What one experiment runs.

    Attributes:
        kind: "tabular", "text", "command", or a Python object as "package.module:attr" or
            "path/to/file.py:attr".
        model: a name of `retrain.models.MODELS` (tabular, text).
        data: a CSV or Parquet file, relative to the configuration, or a name of `BUILT_IN_DATA` (tabular);
            of texts, a file.
        target: the column to predict; a built-in data set has its own (tabular, text).
        text: the column that holds the texts (text).
        about: the columns of the first character of the place in the text that is asked about, from 0, and of
            the one after the last: the words around it are features of their own (text, labels).
        spans: the columns of the first character of a span of the text, from 0, and of the one after the
            last (text).
        architecture: what is predicted of a text: its "label" (the default without spans), its "span" (with
            spans, without target), or both: from features that both "share", or by one model, "joint" (text).
        metric: the number that is optimised; "value" by default for a program or a Python function.
        direction: taken from the metric where that is known.
        drop: columns that are not features (tabular).
        trusted: columns that are no leak, although they may look like one (tabular).
        early_stopping_rounds: stop learning when so many rounds brought nothing on rows set aside from those
            to train on; `n_estimators` is then the most there may be (tabular, models that learn in rounds).
        fixed: hyperparameters that are given to every experiment and not searched.
        command: the program and its arguments (command).
        params_as: how the program is given its parameters: as flags, as JSON on stdin, or as a JSON file.
        scorer: the function or class that scores items, as "model.py:Recommender" (ranking); `data` are the
            ratings, and `target` is their column of the rating, "rating" by default.
        items: the table of the items (ranking).
        user, item: the columns of the ratings that say whose and of what; items have `item`, too (ranking).
        held_out: whole users, or ratings of every user (ranking).
        known: share of a held-out user's ratings that the scorer knows, in [0, 1) (ranking, held-out users).
    """

    kind: str = "tabular"
    model: str | Texts | None = None
    data: str | None = None
    target: str | None = None
    metric: str | None = None
    direction: Annotated[Direction | None, Field(strict=False)] = None
    drop: Texts = ()
    trusted: Texts = ()
    text: str | None = None
    about: Texts = ()
    spans: Texts = ()
    architecture: Literal["label", "span", "share", "joint"] | None = None
    early_stopping_rounds: int | None = Field(None, ge=1, le=10_000)
    fixed: dict[str, float | int | str | bool] = Field(default_factory=dict)
    command: str | Texts | None = None
    params_as: Literal["flags", "json", "file"] = "flags"
    scorer: str | None = None
    items: str | None = None
    user: str = "user"
    item: str = "item"
    held_out: Literal["users", "ratings"] = "users"
    known: float = Field(0.5, ge=0, lt=1)

    @field_validator("kind")
    @classmethod
    def _is_known(cls, kind: str) -> str:
        module, _, attribute = kind.rpartition(":")
        if kind in KINDS or (module and attribute.isidentifier()):
            return kind
        raise ValueError(
            "must be 'tabular', 'text', 'ranking', 'command', 'package.module:attr' or"
            f" 'path/to/file.py:attr', but got {kind!r}." + did_you_mean(kind, KINDS)
        )

    @field_validator("model")
    @classmethod
    def _is_model(cls, model: str | Texts | None, info: ValidationInfo) -> str | Texts | None:
        names = [model] if isinstance(model, str) else list(model or ())
        if model is not None and not names:
            raise ValueError("must name a model, but the list is empty.")
        for name in names if info.data.get("kind") in OF_TABLES else ():
            if name not in MODELS:
                raise ValueError(unknown(name, MODELS, "model"))
            if names.count(name) > 1:
                raise ValueError(f"names {name!r} twice.")
        return names[0] if len(names) == 1 else model

    @field_validator("metric")
    @classmethod
    def _is_metric(cls, metric: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("kind") in OF_TABLES and metric is not None and metric not in METRICS:
            raise ValueError(unknown(metric, METRICS, "metric"))
        if info.data.get("kind") == "ranking" and metric is not None and metric not in RANKING_METRICS:
            raise ValueError(unknown(metric, RANKING_METRICS, "metric of a ranking"))
        return metric

    @model_validator(mode="after")
    def _suits_its_kind(self) -> Self:
        faults = {
            "tabular": self._tabular_faults,
            "text": self._text_faults,
            "ranking": self._ranking_faults,
            "command": self._command_faults,
        }.get(self.kind, self._python_faults)
        found = list(faults())
        if self.kind != "ranking":
            found += self._meaningless(*OF_RANKINGS)
        FaultsError.raise_if(found)
        return self

    def _tabular_faults(self) -> Iterable[tuple[str, str]]:
        yield from self._missing("model", "data", "metric")
        if self.data is not None and self.target is None and self.data not in BUILT_IN_DATA:
            own = ", ".join(BUILT_IN_DATA)
            yield "target", f"is needed: the column of the data to predict. Only {own} have their own."
        yield from self._meaningless(*OF_COMMANDS, *OF_TEXTS)
        if self.early_stopping_rounds is not None and self.models:
            able = [name for name, family in MODELS.items() if family.default_rounds is not None]
            if not set(able) & set(self.models):
                named = ", ".join(map(repr, self.models))
                yield (
                    "early_stopping_rounds",
                    f"has no meaning for model = {named}: only for {', '.join(able)}.",
                )
        yield from self._metric_faults()

    def _text_faults(self) -> Iterable[tuple[str, str]]:
        yield from self._missing("model", "data", "metric", "text")
        yield from self._architecture_faults()
        if self.data in BUILT_IN_DATA:
            yield "data", f"must be a file for kind = 'text': {self.data!r} has no texts."
        if self.text is not None and self.text == self.target:
            yield "text", f"must be another column than the target, {self.target!r}."
        yield from self._meaningless(*OF_COMMANDS, "drop", "early_stopping_rounds")
        yield from self._metric_faults()

    def _ranking_faults(self) -> Iterable[tuple[str, str]]:
        yield from self._missing("scorer", "data", "items", "metric")
        module, _, attribute = (self.scorer or "m:a").rpartition(":")
        if not module or not attribute.isidentifier():
            yield "scorer", f"must be 'model.py:attr' or 'package.module:attr', but got {self.scorer!r}."
        for key in ("data", "items"):
            if getattr(self, key) in BUILT_IN_DATA:
                yield key, f"must be a file for kind = 'ranking', but got {getattr(self, key)!r}."
        names = (self.user, self.item, self.target or "rating")
        if len(set(names)) < len(names):
            yield "user", f"and item and target must be three columns, but got {', '.join(names)}."
        if self.held_out == "ratings":
            yield from self._meaningless("known", where="with held_out = 'ratings'")
        own = ("data", "target")
        yield from self._meaningless(*OF_COMMANDS, *(key for key in OF_MODELS if key not in own))
        if self.metric is not None and self.direction not in (None, RANKING_METRICS[self.metric]):
            yield (
                "direction",
                f"must be {RANKING_METRICS[self.metric].value!r} (or left out) for {self.metric}.",
            )

    def _architecture_faults(self) -> Iterable[tuple[str, str]]:
        its = f"for architecture = {self.predicts!r}"
        if self.predicts == "span":
            yield from self._meaningless("target", where=its)
        else:
            yield from self._missing("target")
        if self.predicts == "label":
            yield from self._meaningless("spans", where=its)
        elif self.about:
            yield from self._meaningless("about", where=its)
        if self.predicts == "label" and self.about and len({*self.about, self.target, self.text}) != 4:
            yield "about", "must be two columns, of the first character and the one after the last."
        if self.predicts != "label" and len(self.spans) != 2:
            yield "spans", f"must be two columns {its}: of the first character, and the one after the last."
        known = [name for name, metric in METRICS.items() if SPANS in metric.tasks]
        if self.predicts == "span":
            known.remove("mean_f1")
        if self.metric in METRICS and (self.metric in known) != (self.predicts != "label"):
            instead = "another one" if self.predicts == "label" else ", ".join(known)
            yield "metric", f"must be {instead} {its}, but got {self.metric!r}."

    @property
    def predicts(self) -> str:
        """The architecture, whether it was said or follows from the columns."""
        if self.architecture is not None:
            return self.architecture
        return "label" if not self.spans else "span" if self.target is None else "share"

    def _missing(self, *keys: str) -> Iterable[tuple[str, str]]:
        for key in keys:
            if getattr(self, key) is None:
                yield key, f"is needed for kind = {self.kind!r}."

    def _metric_faults(self) -> Iterable[tuple[str, str]]:
        for model in self.models if self.metric is not None else ():
            try:
                check_metric(MODELS[model], str(self.metric))
            except ConfigError as error:
                yield "metric", f"cannot be had: {error} {error.remedy}"
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
        yield from self._meaningless(*OF_MODELS)
        yield from self._direction_faults()

    def _python_faults(self) -> Iterable[tuple[str, str]]:
        yield from self._meaningless(*OF_COMMANDS)

    def _direction_faults(self) -> Iterable[tuple[str, str]]:
        if self.direction is None and self.metric not in METRICS:
            yield "direction", "must be 'minimize' or 'maximize': the metric is none of the known ones."

    def _meaningless(self, *keys: str, where: str | None = None) -> Iterable[tuple[str, str]]:
        for key in keys:
            if getattr(self, key) != type(self).model_fields[key].default:
                yield key, f"has no meaning {where or f'for kind = {self.kind!r}'}."

    @property
    def models(self) -> tuple[str, ...]:
        """The model families of the factory, the default one first; none for another kind of pipeline."""
        if self.kind not in OF_TABLES or self.model is None:
            return ()
        return (self.model,) if isinstance(self.model, str) else self.model

    @property
    def regresses(self) -> bool:
        """Whether the metric is one of numbers, so that the models learn these and not classes."""
        return self.metric in METRICS and METRICS[self.metric or ""].tasks == (REGRESSION,)

    @property
    def words(self) -> tuple[str, ...]:
        """The command as words: a text is split as a shell would, without running one."""
        return tuple(shlex.split(self.command)) if isinstance(self.command, str) else self.command or ()
