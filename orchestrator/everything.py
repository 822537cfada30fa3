"""What `orchestrator all` runs: every part is looked at before the first one begins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.many import Outcome, Part, check_apart, find_parts, n_workers_each, run_parts
from orchestrator.request import Request
from orchestrator.signals import StopRequest
from tuner.errors import RetrainError

if TYPE_CHECKING:
    from retrain.config import Config

__all__ = ["MULTISTAGE", "N_TRIALS", "Wish", "run_everything"]

MULTISTAGE = "multistage"
N_TRIALS = 100
"""Candidates of one large study where nobody says."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be run, and how.

    Attributes:
        mode: MULTISTAGE, or "maximal": one large study of each.
        architectures: as for `find_parts`.
        config: the configuration, or None for that of the working directory.
        db: the registry of all, or None for that of each.
        n_trials: candidates of each; None for as many as its stages declare, or N_TRIALS.
        method: of a large study.
        parallel: how many run side by side.
        stop_on_error: stop all when one comes to no result.
        timeout_s: for all together.
        pool: of the workers.
        n_workers: of each; None shares the cores among those that run at once.
        shared: further arguments of each.
    """

    mode: str
    architectures: Sequence[str] = ()
    config: Path | None = None
    db: str | None = None
    n_trials: int | None = None
    method: str = "bayesian"
    parallel: int = 1
    stop_on_error: bool = False
    timeout_s: float | None = None
    pool: str = "ray"
    n_workers: int | None = None
    shared: Sequence[str] = ()


def run_everything(wish: Wish, *, tell: Callable[[str], None], stop: StopRequest) -> list[Outcome]:
    """Check every part, then run them all.

    Raises:
        RetrainError: a part cannot be run; its name stands before what is wrong. Nothing was begun.
    """
    Request(method=wish.method, pool=wish.pool).settled()
    parts = find_parts(wish.architectures, wish.config)
    check_apart({part.name: _checked(part, wish) for part in parts})
    n_workers = wish.n_workers or n_workers_each(len(parts), wish.parallel)

    def arguments(part: Part, left_s: float | None) -> list[str]:
        return _arguments(wish, part, n_workers, left_s)

    return run_parts(
        parts,
        arguments,
        parallel=wish.parallel,
        stop_on_error=wish.stop_on_error,
        timeout_s=wish.timeout_s,
        tell=tell,
        stop=stop,
    )


def _checked(part: Part, wish: Wish) -> "Config":
    """The configuration of a part, after all that can be said of it without reading its data."""
    from orchestrator.stages import check_stages, with_budget
    from retrain.config import load_config
    from retrain.data import check_readable
    from retrain.phases import searching
    from retrain.pipelines import load_pipeline
    from retrain.tuning import check_method

    try:
        config = searching(load_config(Path(part.config), {"db": wish.db}))
        pipeline = load_pipeline(config)
        if wish.mode == MULTISTAGE:
            check_stages(config, pipeline)
            if wish.n_trials is not None:
                with_budget(config.stages, wish.n_trials)
        else:
            check_method(config, pipeline, wish.method)
        check_readable(config)
        if config.pipeline.kind == "command":
            pipeline.load()  # looks for the program only
    except RetrainError as error:
        raise type(error)(f"{part.name}: {error}", error.remedy) from error
    return config


def _arguments(wish: Wish, part: Part, n_workers: int, left_s: float | None) -> list[str]:
    n = [] if wish.n_trials is None and wish.mode == MULTISTAGE else [str(wish.n_trials or N_TRIALS)]
    what = ["stages"] if wish.mode == MULTISTAGE else ["--method", wish.method]
    given = [*what, *(["--configs", *n] if n else []), "--config", part.config, *wish.shared]
    given += ["--pool", wish.pool, "--workers", str(n_workers), "--format", "json", "--no-progress"]
    given += [] if wish.db is None else ["--db", wish.db]
    return given if left_s is None else [*given, "--timeout", f"{max(left_s, 0.001):.3f}s"]
