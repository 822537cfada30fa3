"""Our generators as a searcher of Ray Tune.

tune.Tuner(trainable, param_space={"lr": tune.loguniform(1e-4, 1e-1)}, tune_config=tune.TuneConfig(
    search_alg=RetrainSearcher(), metric="loss", mode="min", num_samples=50))
"""

import copy
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any

from orchestrator.adapters.options import check_options
from tuner.errors import SpaceError, UsageError, did_you_mean
from tuner.experiment import Direction, Observation, Params, Value, loss_of
from tuner.generators import Generator, make_generator
from tuner.goals import Goals, Objective
from tuner.space import CategoricalParam, FloatParam, Param, SearchSpace
from tuner.space.values import is_number, plain

try:
    from ray import cloudpickle
    from ray.tune.result import DEFAULT_METRIC
    from ray.tune.search import Searcher
    from ray.tune.search.sample import Categorical
    from ray.tune.search.variant_generator import assign_value, parse_spec_vars
except ImportError as error:  # Ray comes without what its Tune needs
    raise UsageError(
        f"A searcher for Ray Tune needs ray[tune], which cannot be imported: {error}.",
        "pip install 'retrain[ray-tune]'",
    ) from None

__all__ = ["RetrainSearcher"]

_DIRECTIONS = {"min": Direction.MINIMIZE, "max": Direction.MAXIMIZE}

_OF_TUNE = {
    "direction": "RetrainSearcher(mode='min')",
    "goals": "RetrainSearcher(metric=['loss', 'seconds'], mode=['min', 'min'])",
    "n_asked": "Leave it out: suggestions are counted here.",
}


class RetrainSearcher(Searcher):
    """Proposes the configuration of each trial by one of our generators.

    A trial counts by the last value of its metric; one that a scheduler stopped early as stopped early. Those
    that end by an error, or whose metric is missing or no finite number, count as failed, and teach that.
    A finite space is tried without repeats, and then said to be finished.

    Args:
        space: a SearchSpace or whatever `SearchSpace.of` takes, whose conditions and constraints hold in
            every trial; or a dictionary with Ray Tune's domains. None to take Tune's `param_space`.
        metric: the reported number to optimize; None to take Tune's. Where it has none, `_metric`. A list for
            several objectives, which the methods bayesian and tpe learn.
        mode: "min" or "max"; None to take Tune's. A list for several metrics.
        method: of `tuner.generators.METHODS`.
        seed: a whole number >= 0.
        points_to_evaluate: configurations to try first; what one leaves out is at its default.
        options: further options of the method.

    Raises:
        UsageError: unknown method, option or mode, or metrics that do not fit their modes or the method.
        SpaceError: `space` declares none.
    """

    def __init__(
        self,
        space: Any = None,
        metric: str | Sequence[str] | None = None,
        mode: str | Sequence[str] | None = None,
        *,
        method: str = "bayesian",
        seed: int = 0,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> None:
        check_options("Ray Tune", options, _OF_TUNE)
        _check_objectives(metric, mode)
        super().__init__(metric=_for_ray(metric), mode=_for_ray(mode))
        self._settings = {"seed": seed, **options}
        self._method = method
        self._points = list(points_to_evaluate or ())
        self._guesses: list[Params] = []
        self._ended: list[_Ended] = []
        self._live: dict[str, Params] = {}
        self._latest: dict[str, dict[str, Any]] = {}
        self._longest = 0
        self._n_asked = 0
        self._layout = None if space is None else _layout_of(space)
        # Whatever is wrong is told now, and not when Tune runs.
        probe = self._layout.space if self._layout else SearchSpace([FloatParam("x", 0.0, 1.0)])
        goals = _goals(_listed(metric), _listed(mode))
        make_generator(method, probe, direction="minimize", n_asked=0, goals=goals, **self._settings)
        if self._layout is not None:
            self._take_points(self._layout)

    def set_search_properties(
        self,
        metric: str | Sequence[str] | None,
        mode: str | Sequence[str] | None,
        config: dict[str, Any],
        **spec: Any,  # noqa: ARG002 - Ray's signature
    ) -> bool:
        """See Ray Tune: take the metric, mode and space of a run.

        Raises:
            UsageError: an unknown mode, or metrics that do not fit the modes or the method.
            SpaceError: `config` holds nothing to search, or a domain that is not known in advance.
        """
        _check_objectives(metric or self._metric, mode or self._mode)
        _, domains, grids = parse_spec_vars(config)
        if self._layout is not None and (domains or grids):
            return False  # two spaces: Tune says so
        self._metric = _for_ray(metric) or self._metric
        self._mode = _for_ray(mode) or self._mode
        if self._layout is None:
            searched = {path[0] for path, _ in [*domains, *grids]}
            self._layout = _layout_of_domains({key: config[key] for key in config if key in searched}, config)
            self._take_points(self._layout)
        return True

    def suggest(self, trial_id: str) -> Any:
        """See Ray Tune: the configuration of a new trial, or FINISHED where none is left.

        Raises:
            UsageError: Tune has named no mode, or no space.
        """
        layout = self._known_layout()
        if self._guesses:
            params = self._guesses.pop(0)
        elif suggestions := self._made_generator().ask(1):
            params = suggestions[0].params
            self._n_asked += 1
        else:
            return Searcher.FINISHED
        self._live[trial_id] = params
        return layout.config(params)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """See Ray Tune: a number on the way, which counts where none comes after it."""
        self._latest[trial_id] = result
        self._longest = max(self._longest, _length(result))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """See Ray Tune: learn from a trial that ended."""
        params, latest = self._live.pop(trial_id, None), self._latest.pop(trial_id, {})
        last = result or latest
        if params is None or not (last or error):
            return  # unknown, or stopped before it had run
        self._longest = max(self._longest, _length(last))
        # The last result of a trial that ends by itself is told twice; where it is stopped, it is new here.
        by_itself = bool(result) and _length(last) == _length(latest)
        found = [last.get(name) for name in self._metrics()]
        self._end(params, [] if error else found, None if by_itself else _length(last))

    def add_evaluated_point(
        self,
        parameters: dict[str, Any],
        value: float | Sequence[float],
        error: bool = False,
        pruned: bool = False,  # noqa: ARG002 - Ray's signature
        intermediate_values: list[float] | None = None,  # noqa: ARG002
    ) -> None:
        """See Ray Tune: learn from what was evaluated elsewhere.

        Raises:
            UsageError: no space is known yet, or there are not as many values as metrics.
            ParamsError: `parameters` are not in the space.
        """
        params, values = self._known_layout().params(parameters), _listed(value)
        if len(values) != len(self._metrics()):
            raise UsageError(
                f"There must be one value for each of {', '.join(self._metrics())}, but got {value!r}.",
                "Name the metrics first: RetrainSearcher(metric=..., mode=...).",
            )
        self._end(params, [] if error else values, None)

    def save(self, checkpoint_path: str) -> None:
        """See Ray Tune: write what a searcher made anew needs to go on."""
        Path(checkpoint_path).write_bytes(cloudpickle.dumps(self.__dict__))  # type: ignore[no-untyped-call]

    def restore(self, checkpoint_path: str) -> None:
        """See Ray Tune: go on from what `save` wrote."""
        self.__dict__.update(pickle.loads(Path(checkpoint_path).read_bytes()))  # noqa: S301 - Tune's own way

    def _take_points(self, layout: "_Layout") -> None:
        self._guesses, self._points = [layout.params(point) for point in self._points], []

    def _metrics(self) -> list[str]:
        return _listed(self._metric or DEFAULT_METRIC)

    def _end(self, params: Params, found: Sequence[Any], stopped_at: int | None) -> None:
        numbers = [number for each in found if (number := _finite(each)) is not None]
        if len(numbers) < len(self._metrics()):
            self._ended.append(_Ended(params, None, stopped_at, {}))
        else:
            metrics = dict(zip(self._metrics()[1:], numbers[1:], strict=True))
            self._ended.append(_Ended(params, numbers[0], stopped_at, metrics))

    def _known_layout(self) -> "_Layout":
        if self._layout is None:
            raise UsageError(
                "A RetrainSearcher must know the space, but neither it nor Ray Tune was given one.",
                "Pass tune.Tuner(param_space=...) or RetrainSearcher(space=...).",
            )
        return self._layout

    def _made_generator(self) -> Generator:
        """A generator that knows all; which trials ended early is seen only later."""
        if self._mode is None:
            raise UsageError(
                "A RetrainSearcher must know whether less is better, but it was given no mode.",
                "Pass RetrainSearcher(metric=..., mode='min'), which Ray Tune does by itself only where "
                "there is a param_space.",
            )
        modes = _listed(self._mode)
        direction = _DIRECTIONS[modes[0]]
        generator = make_generator(
            self._method,
            self._known_layout().space,
            direction=direction,
            n_asked=self._n_asked,
            goals=_goals(self._metrics(), modes),
            **self._settings,
        )
        generator.tell(_observations(self._ended, self._longest, direction), list(self._live.values()))
        return generator


@dataclass(frozen=True)
class _Ended:
    """A trial that ended.

    Attributes:
        value: its metric; None where it failed.
        stopped_at: the iteration after which it was stopped from without; None where it ended by itself.
        metrics: the further objectives.
    """

    params: Params
    value: float | None
    stopped_at: int | None
    metrics: Mapping[str, float]


def _observations(ended: Sequence[_Ended], longest: int, direction: Direction) -> list[Observation]:
    """What is told of trials.

    One that was stopped before the longest is partial. Not so if it beats all that went to the end: then it
    was stopped because it had reached a goal.
    """
    whole = [
        loss_of(each.value, direction)
        for each in ended
        if each.value is not None and (each.stopped_at is None or each.stopped_at >= longest)
    ]
    best = min(whole, default=-inf)
    return [
        Observation(
            each.params,
            each.value,
            partial=each.value is not None
            and each.stopped_at is not None
            and each.stopped_at < longest
            and loss_of(each.value, direction) > best,
            metrics=each.metrics,
        )
        for each in ended
    ]


@dataclass(frozen=True)
class _Layout:
    """A space of ours, and how a configuration of Ray Tune's is made from one of its own.

    Attributes:
        template: Tune's configuration with domains in it; None for a space of ours, which is flat.
        paths: where the value of each parameter goes.
        choices: of parameters that are known by the index of a choice, which may be anything.
        whole: the template, and what of Tune's configuration is constant.
    """

    space: SearchSpace
    template: Mapping[str, Any] | None
    paths: Mapping[str, tuple[Any, ...]]
    choices: Mapping[str, Sequence[Any]]
    whole: Mapping[str, Any]

    def config(self, params: Params) -> dict[str, Any]:
        """The configuration that a trial gets."""
        if self.template is None:
            return dict(params)
        made: dict[str, Any] = copy.deepcopy(dict(self.template))
        for name, value in params.items():
            chosen = self.choices[name][_index(value)] if name in self.choices else value
            assign_value(made, self.paths[name], chosen)
        return made

    def params(self, config: Mapping[str, Any]) -> Params:
        """The parameters of a configuration; what it leaves out is at its default.

        Raises:
            ParamsError: a value is not in the space, or a name is unknown.
        """
        if self.template is None or not isinstance(config, Mapping):
            return self.space.complete(config)
        given: dict[str, Any] = dict.fromkeys(_unknown(config, self.whole))
        for name, path in self.paths.items():
            found: Any = config
            try:
                for key in path:
                    found = found[key]
            except (KeyError, IndexError, TypeError):
                continue
            choices = list(self.choices.get(name, ()))
            given[name] = choices.index(found) if found in choices else found
        return self.space.complete(given)


def _layout_of(space: Any) -> _Layout:
    if isinstance(space, Mapping):
        _, domains, grids = parse_spec_vars(dict(space))
        if domains or grids:
            return _layout_of_domains(space, space)
    return _Layout(SearchSpace.of(space), None, {}, {}, {})


def _layout_of_domains(config: Mapping[str, Any], whole: Mapping[str, Any]) -> _Layout:
    _, domains, grids = parse_spec_vars(dict(config))
    if not domains and not grids:
        raise SpaceError(
            "The param_space of Ray Tune must hold something to search, but all of it is constant.",
            "Give it a domain such as tune.uniform(0, 1), or give RetrainSearcher a space.",
        )
    paths = {"/".join(map(str, path)): path for path, _ in [*domains, *grids]}
    if len(paths) < len(domains) + len(grids):
        raise SpaceError(
            "The names of a param_space must differ when its levels are joined by '/', but got some twice: "
            f"{', '.join(paths)}.",
            "Leave the '/' out of names.",
        )
    choices: dict[str, Sequence[Any]] = {}
    others: dict[str, Any] = {}
    for name, (_, domain) in zip(paths, [*domains, *grids], strict=True):
        if isinstance(domain, Categorical):
            choices[name] = list(domain.categories)
            if any(parse_spec_vars({"": choice})[1:] != ([], []) for choice in choices[name]):
                raise SpaceError(
                    f"The choices of {name!r} must be values, but one of them holds a domain.",
                    "Take it out of the choice, or give RetrainSearcher(space=...) parameters with `when`.",
                )
        else:
            others[name] = domain
    params: list[Param] = [CategoricalParam(name, range(len(values))) for name, values in choices.items()]
    if others:
        params += SearchSpace.of(others).params.values()
    return _Layout(SearchSpace(params), config, paths, choices, whole)


def _unknown(config: Mapping[Any, Any], known: Mapping[Any, Any], above: str = "") -> Iterator[str]:
    """The names in a configuration that the known one has not."""
    for key, value in config.items():
        if key not in known:
            yield f"{above}{key}"
        elif isinstance(value, Mapping) and isinstance(known[key], Mapping):
            yield from _unknown(value, known[key], f"{above}{key}/")


def _check_objectives(metric: Any, mode: Any) -> None:
    for each in () if mode is None else _listed(mode):
        if each not in _DIRECTIONS:
            raise UsageError(
                f"`mode` must be 'min' or 'max', but got {each!r}.{did_you_mean(str(each), _DIRECTIONS)}",
                "Pass mode='min' where less is better.",
            )
    if metric is not None and mode is not None and len(_listed(metric)) != len(_listed(mode)):
        raise UsageError(
            f"Every metric must have its mode, but got metric={metric!r} with mode={mode!r}.",
            "Pass as many modes as metrics.",
        )


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else [given]


def _for_ray(given: Any) -> Any:
    """As Ray Tune has it: several in a list."""
    return _listed(given) if isinstance(given, list | tuple) else given


def _goals(metrics: Sequence[str], modes: Sequence[str]) -> Goals:
    """The further objectives, where there are any."""
    several = zip(metrics[1:], modes[1:], strict=False)
    return Goals(tuple(Objective(metric, _DIRECTIONS[mode]) for metric, mode in several))


def _length(result: Mapping[str, Any]) -> int:
    """How many results a trial had reported by then, this one included."""
    return int(result.get("training_iteration", 0))


def _index(value: Value) -> int:
    assert isinstance(value, int)
    return value


def _finite(value: Any) -> float | None:
    number = plain(value)
    return float(number) if is_number(number) and isfinite(number) else None
