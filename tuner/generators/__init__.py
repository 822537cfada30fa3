"""Generators propose configurations: one engine per method, imported when it is first asked for."""

import inspect
from importlib import import_module
from typing import Any

from tuner.errors import UsageError, did_you_mean
from tuner.experiment import Direction, Params
from tuner.generators.base import Generator
from tuner.given import insist
from tuner.goals import NO_GOALS, Goals
from tuner.space import SearchSpace
from tuner.space.share import check_share
from tuner.space.values import plain

__all__ = ["METHODS", "Generator", "learns_from_earlier", "make_generator"]

_ENGINES = {
    "bayesian": ("tuner.generators.bayesian", "BayesianGenerator"),
    "grid": ("tuner.generators.grid", "GridGenerator"),
    "random": ("tuner.generators.random", "RandomGenerator"),
    "sobol": ("tuner.generators.sobol", "SobolGenerator"),
    "lhs": ("tuner.generators.lhs", "LatinHypercubeGenerator"),
    "skopt-gp": ("tuner.generators.skopt", "SkoptGaussianProcessGenerator"),
    "skopt-rf": ("tuner.generators.skopt", "SkoptForestGenerator"),
    "skopt-et": ("tuner.generators.skopt", "SkoptExtraTreesGenerator"),
    "tpe": ("tuner.generators.optuna", "TpeGenerator"),
    "cmaes": ("tuner.generators.optuna", "CmaEsGenerator"),
    "gp": ("tuner.generators.optuna", "OptunaGaussianProcessGenerator"),
}

_WITH_GOALS = {"bayesian": ("tuner.generators.bayesian.goals", "GoalsGenerator")}
"""Engines that stand in for others where a study has goals."""

METHODS: tuple[str, ...] = tuple(_ENGINES)
"""Every method that `make_generator` knows."""


def make_generator(
    method: str,
    space: SearchSpace,
    *,
    seed: int = 0,
    direction: Direction | str = Direction.MINIMIZE,
    baseline: Params | None = None,
    n_asked: int = 0,
    goals: Goals = NO_GOALS,
    **options: Any,
) -> Generator:
    """Build the generator of a method; `options` are the further keyword arguments of its class.

    Raises:
        UsageError: unknown method, direction or option, an option out of its range, a negative `seed` or
            `n_asked`, no SearchSpace, or `goals` that are none or that the method cannot learn.
        ParamsError: `baseline` is not in the space.
        SpaceError: hardly anything of the space is allowed.
    """
    if not isinstance(method, str) or method not in _ENGINES:
        raise UsageError(
            f"Unknown method {method!r}.{did_you_mean(str(method), METHODS)}",
            f"Methods: {', '.join(METHODS)}.",
        )
    directions = [each.value for each in Direction]
    if direction not in directions:
        raise UsageError(
            f"Unknown direction {direction!r}.{did_you_mean(str(direction), directions)}",
            f"Directions: {', '.join(directions)}.",
        )
    insist("`space` must be a SearchSpace", SearchSpace, space, 'Such as SearchSpace.of({"x": (0.0, 1.0)}).')
    insist("`goals` must be Goals", Goals, goals, 'Such as Goals([Objective("seconds", "minimize")]).')
    seed, n_asked = plain(seed), plain(n_asked)  # numpy's whole numbers are as good as Python's
    for name, number in (("seed", seed), ("n_asked", n_asked)):
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise UsageError(f"`{name}` must be a whole number of at least 0, but got {number!r}.")
    module, name = (_WITH_GOALS if goals and method in _WITH_GOALS else _ENGINES)[method]
    engine: type[Generator] = getattr(import_module(module), name)
    if "earlier" in options and (goals or "earlier" not in inspect.signature(engine).parameters):
        raise UsageError(
            f"The method {method} learns nothing from earlier studies"
            f"{' where a study has further objectives or limits' if goals else ''}.",
            "Leave the warm start out." if goals else "Use bayesian, or leave the warm start out.",
        )
    _check_options(method, engine, options)
    check_share(space)
    return engine(
        space, seed=seed, direction=direction, baseline=baseline, n_asked=n_asked, goals=goals, **options
    )


def learns_from_earlier(method: str, goals: Goals = NO_GOALS) -> bool:
    """Whether a known method takes `earlier` studies: only then have warm starts a meaning."""
    module, name = _ENGINES[method]
    return not goals and "earlier" in inspect.signature(getattr(import_module(module), name)).parameters


def _check_options(method: str, engine: type[Generator], options: dict[str, Any]) -> None:
    shared = inspect.signature(Generator.__init__).parameters
    known = [name for name in inspect.signature(engine).parameters if name not in shared]
    for name in options:
        if name not in known:
            remedy = f"Options of {method}: {', '.join(known)}." if known else f"{method} takes no options."
            raise UsageError(
                f"Unknown option {name!r} of method {method!r}.{did_you_mean(name, [*known, *shared])}",
                remedy,
            )
