"""The whole loop in one call, from a notebook or a script: `tune(objective, space)`."""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

from orchestrator.launch import conduct, start_pool
from orchestrator.progress import open_display
from orchestrator.request import Request
from orchestrator.signals import StopRequest
from orchestrator.spill import Spill
from retrain.pipelines.objective import ObjectivePipeline
from tuner.errors import UsageError, did_you_mean
from tuner.experiment import Direction, Experiment, Params, State, Study
from tuner.generators import make_generator
from tuner.goals import NO_GOALS, Goals
from tuner.patterns import THRESHOLD
from tuner.propose import complete_guesses, open_study, queue_guesses
from tuner.registry import open_registry
from tuner.registry.base import StudySpec
from tuner.space import SearchSpace

__all__ = ["TuneResult", "tune"]


@dataclass(frozen=True, repr=False)
class TuneResult:
    """What `tune` found.

    Attributes:
        study: the study, as stored.
        best: the best experiment, or None where none succeeded; with several objectives, the best in the
            study's metric.
        front: with several objectives, their Pareto front, the best in the study's metric first; else empty.
        experiments: all of the study, in the order of writing; failed ones carry `outcome` and `error`.
        same_error: the last of the experiments that failed in a row with the same error, where that ended
            the call; None otherwise.
        interrupted: whether Ctrl-C ended the call before all was tried.
    """

    study: Study
    best: Experiment | None
    experiments: tuple[Experiment, ...]
    same_error: Experiment | None = None
    front: tuple[Experiment, ...] = ()
    interrupted: bool = False

    @property
    def best_params(self) -> Params | None:
        """The best configuration: active parameters only. None where no experiment succeeded."""
        return None if self.best is None else dict(self.best.params)

    @property
    def best_value(self) -> float | None:
        """The best value, in the study's own direction. None where no experiment succeeded."""
        return None if self.best is None else self.best.value

    @property
    def failed(self) -> tuple[Experiment, ...]:
        """The experiments that failed."""
        return tuple(each for each in self.experiments if each.state is State.FAILED)

    def __repr__(self) -> str:
        counts = f"{len(self.experiments)} experiments, {len(self.failed)} failed"
        if self.same_error is not None:
            counts += f"; stopped by the same error in a row: {self.same_error.error}"
        counts += "; interrupted" if self.interrupted else ""
        if self.best is None and not all(each.feasible for each in self.experiments):
            limits = "; ".join(map(str, self.study.goals.limits))
            return f"no experiment keeps the limits ({counts}): {limits}"
        if self.best is None:
            causes = "; ".join(sorted({str(each.error) for each in self.failed})[:3])
            return f"no experiment succeeded ({counts}): {causes}"
        if self.front:
            metrics = ", ".join([self.study.metric, *(each.metric for each in self.study.goals.objectives)])
            return f"front of {metrics}: {len(self.front)} experiments ({counts})"
        return f"best {self.study.metric} {self.best_value} with {self.best_params} ({counts})"


def tune(
    objective: Callable[..., Any],
    space: Any,
    *,
    method: str = "bayesian",
    configs: int | None = 30,
    direction: Direction | str = "minimize",
    metric: str = "value",
    goals: Goals = NO_GOALS,
    db: str | Path | None = None,
    study: str = "tune",
    seed: int = 0,
    warm_start: Sequence[str] = (),
    memory: bool | float = False,
    workers: int | None = None,
    pool: str = "local",
    experiment_timeout: float | None = None,
    same_error: int = 3,
    pruner: str | Mapping[str, Any] = "none",
    guesses: Sequence[Params] = (),
    progress: bool | None = None,
    **options: Any,
) -> TuneResult:
    """Look for the parameters with which `objective` is best.

    The space's defaults are tried first, then `configs` further configurations. A failing experiment is tried
    once more and then left; only several in a row with the same error end the call. Ctrl-C
    (KeyboardInterrupt) stops the workers and returns what is finished.

    Args:
        objective: `objective(params) -> float | dict`, or `objective(params, report)`. Any function will do,
            lambdas and closures included: it travels by value to worker processes.
        space: where to search: a SearchSpace, or whatever `SearchSpace.of` takes, such as {"depth": (2, 12)}.
        method: a generator's name: one of `tuner.generators.METHODS`.
        configs: how many candidates; None for grid's whole design.
        direction: "minimize" or "maximize".
        metric: the key of the value where the objective returns a dict.
        goals: further objectives, and limits on the other numbers of that dict. The best keeps all limits;
            with several objectives there is a front besides.
        db: registry to keep the study in; None keeps nothing on disk.
        study: name of the study. With `db`, calling again adds `configs` more; after an interruption it first
            finishes what was begun.
        seed: of a new study. With workers=1 the same seed and results give the same candidates; with more
            workers a method that learns sees results in the order in which they arrive, and may differ.
        warm_start: names of earlier studies in `db` for the method to learn from.
        memory: learn from similar studies in `db` unnamed, too; or how similar they must be, in (0, 1]. Of a
            function those are similar that tuned one of the same name in a space like it.
        workers: processes at a time; one per core by default.
        pool: "local", whose processes start at once, or "ray", which takes some seconds to start.
        experiment_timeout: seconds after which an experiment is ended; by default 20 times the median, at
            least 10 minutes, once 5 have finished.
        same_error: so many experiments that fail in a row with the same error end the call; 0 for never.
        pruner: what stops bad experiments early by what they `report`: a name of `tuner.pruners.PRUNERS`, or
            a dictionary of its options with that name, such as {"name": "asha", "grace": 3}.
        guesses: configurations to try before any other; the space's defaults fill in what one leaves out.
        progress: True for live progress on stderr, False for none; None shows it on a terminal only.
        options: further options of the generator.

    Raises:
        KeyboardInterrupt: Ctrl-C before anything was finished.
        ParamsError: a guess is not in the space.
        UsageError: another argument cannot be, or the stored study was defined otherwise.
        StorageError: the registry or the workers cannot be used.
    """
    for name in options:  # of a generator none is called nearly so
        if meant := did_you_mean(name, signature(tune).parameters.keys() - {"options"}):
            raise UsageError(f"`tune` takes no {name!r}.{meant}", "help(tune) lists what it takes.")
    _check_lists(warm_start, guesses)
    request = Request(
        method=method,
        n_configs=configs,
        warm_start=tuple(warm_start),
        memory=(THRESHOLD if memory else None) if isinstance(memory, bool) else memory,
        options=options,
        n_workers=workers,
        pool=pool,
        experiment_timeout_s=experiment_timeout,
        same_error=same_error,
        **_pruning(pruner),
        seed=seed,
        command=("tune",),
    ).settled()
    if not isinstance(progress, bool | None):
        raise UsageError(
            f"`progress` must be True, False or None, but got {progress!r}.", "None shows it on a terminal."
        )
    if direction not in list(Direction):
        raise UsageError(
            f"Unknown direction {direction!r}.{did_you_mean(str(direction), list(Direction))}",
            f"There are: {', '.join(Direction)}.",
        )
    if metric in goals.metrics:
        raise UsageError(
            f"Objectives and limits must be of other metrics than the study's own, but one is of {metric!r}.",
            "Leave it out: that metric is optimised anyway.",
        )
    space = SearchSpace.of(space)
    pipeline = ObjectivePipeline(objective, space, metric, direction)
    defaults = space.defaults()
    pipeline.goals = goals
    complete_guesses(space, guesses, defaults)  # before anything is made, as the next
    make_generator(method, space, goals=goals, **options)
    spec = StudySpec(study, space.to_dict(), metric, pipeline.direction, defaults, seed, goals)
    if progress is None:
        progress = sys.stderr.isatty()
    with ExitStack() as stack:
        if db is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="retrain-"))
            db = Path(folder) / "experiments.db"
        spill = Spill.of(str(db), Path.cwd())
        display = stack.enter_context(open_display(quiet=not progress))
        registry = stack.enter_context(open_registry(db, create=True))
        opened = open_study(registry, spec)
        queue_guesses(registry, opened, guesses)
        n_open = registry.counts(opened)[State.WAITING]
        workers_ = stack.enter_context(start_pool(request, pipeline, None, request.n_workers_for(n_open)))
        interrupted = False
        try:
            result = conduct(
                registry,
                opened,
                pipeline,
                workers_,
                request,
                spill=spill,
                display=display,
                stop=StopRequest(),
            )
            best, same_error_by = result.best, result.same_error
        except KeyboardInterrupt:
            workers_.close()
            interrupted = True
            if not any(each.state.finished for each in registry.experiments(opened)):
                raise
            best, same_error_by = next(iter(registry.best(opened)), None), None
        front = tuple(registry.front(opened)) if goals.objectives else ()
        return TuneResult(
            opened, best, tuple(registry.experiments(opened)), same_error_by, front, interrupted
        )


def _check_lists(warm_start: object, guesses: object) -> None:
    """A single name would else be read letter by letter, and a single guess name by name."""
    if not isinstance(warm_start, Sequence) or isinstance(warm_start, str):
        raise UsageError(
            f"`warm_start` must be a list of names of studies, but got {warm_start!r}.",
            'Such as ["spring"].',
        )
    if not isinstance(guesses, Sequence) or isinstance(guesses, str):
        raise UsageError(
            f"`guesses` must be a list of configurations, but got {guesses!r}.", 'Such as [{"lr": 0.1}].'
        )


def _pruning(given: str | Mapping[str, Any]) -> dict[str, Any]:
    """A name, or options with a name, in the words of a Request."""
    if isinstance(given, str):
        return {"pruner": given}
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise UsageError(
            f"A pruner must be a name, or a dictionary with a 'name' besides its options, but got {given!r}.",
            'Such as {"name": "asha", "grace": 3}.',
        )
    return {"pruner": given["name"], "pruner_options": {k: v for k, v in given.items() if k != "name"}}
