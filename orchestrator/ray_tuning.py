"""Ray Tune, run for us: its own random search and its ASHA scheduler, in a process of its own beside Ray.

The same cluster serves one tuning after another; the data lie once in its object store. What each trial came
to is told as it ends.
"""

import pickle
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from orchestrator.child import Broken, Child
from orchestrator.payload import Surroundings, write_payload
from orchestrator.ray_pool import LOST_AFTER_S, HostOrder, address_of, new_folder, settings_of_ray
from retrain.pipeline import Pipeline
from tuner.errors import PoolError, UsageError
from tuner.experiment import Evaluation, Failure, Measurement, Params
from tuner.space import SearchSpace

__all__ = ["RayTuning", "Search", "Searched", "Tried", "check_ray_tune"]

_TICK_S = 0.5


@dataclass(frozen=True, slots=True)
class Search:
    """One tuning that Ray Tune is to do.

    Attributes:
        space: document of the space.
        extra: parameters that every trial gets besides.
        metric, mode: what counts; "max" or "min".
        n_trials: how many configurations, the defaults included: they are the first.
        n_steps: reports of one whole evaluation, such as its folds.
        seed: of the search and of every evaluation.
        timeout_s: begin none after it; None for none.
    """

    space: Mapping[str, Any]
    extra: Params
    metric: str
    mode: str
    n_trials: int
    n_steps: int
    seed: int
    timeout_s: float | None


@dataclass(frozen=True, slots=True)
class Tried:
    """From Ray Tune: one trial ended.

    Attributes:
        params: its active parameters.
        result: None where the scheduler stopped it, or the time was over.
        reports: what it had reported until then.
        duration_s: of its run.
    """

    params: Params
    result: Evaluation | Failure | None
    reports: tuple[Measurement, ...]
    duration_s: float


@dataclass(frozen=True, slots=True)
class Searched:
    """From Ray Tune: the tuning is over; `why` says what it failed with, as a whole."""

    why: str = ""


def check_ray_tune(space: SearchSpace) -> None:
    """Refuse what Ray Tune cannot search, or that it is not installed, before anything is started.

    Raises:
        UsageError: one of the two; says which.
    """
    from importlib.util import find_spec

    missing = [name for name in ("ray", "pyarrow", "tensorboardX", "fsspec") if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"ray_tune needs Ray with its Tune, but {', '.join(missing)} cannot be imported.",
            "pip install 'retrain[ray-tune]'",
        )
    if space.constraints:
        raise UsageError(
            "The search of Ray Tune cannot keep the constraints of a space, and this space has some.",
            "Use another --tuning-method, such as bayesian.",
        )


class RayTuning:
    """Runs tunings on a Ray cluster. Use as a context manager.

    Args:
        pipeline: not bound to data.
        data: what its `use` takes.
        n_workers: trials at a time.
        address: of a cluster to join; None for a private one.

    Raises:
        UsageError: the pipeline or the data cannot be pickled, or the address is of another kind.
        PoolError: the system cannot start the process.
    """

    def __init__(self, pipeline: Pipeline, data: object, n_workers: int, address: str | None = None) -> None:
        where = address_of(address)
        self._folder = new_folder() if where == "local" else None
        surroundings = Surroundings.here()
        order = HostOrder(n_workers, where, self._folder, surroundings, LOST_AFTER_S, echo=False)
        quiet = {"TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1", "RAY_AIR_NEW_OUTPUT": "0"}
        try:
            with write_payload(pipeline, data) as payload:
                self._host = Child(
                    "orchestrator.ray_tuning_host",
                    order,
                    payload,
                    surroundings.cwd,
                    {**settings_of_ray(self._folder), **quiet},
                )
        except BaseException:
            self._remove_folder()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, search: Search, take: Callable[[Tried], None], stop: Callable[[], bool]) -> bool:
        """Search, handing over each trial as it ends; False where it was asked to stop before the end.

        After that it cannot be used again.

        Args:
            search: what to do.
            take: called with each trial.
            stop: asked now and then.

        Raises:
            PoolError: Ray cannot be started, or was lost; or its Tune failed as a whole.
        """
        self._host.connection.send(search)
        while not stop():
            try:
                if not self._host.connection.poll(_TICK_S):
                    continue
                message = pickle.loads(self._host.connection.recv_bytes())  # noqa: S301 - from our own child
            except (EOFError, OSError):
                raise self._lost(f"The process of Ray Tune died ({self._host.end(grace_s=1.0)}).") from None
            match message:
                case Tried():
                    take(message)
                case Searched(why) if why:
                    raise self._lost(f"Ray Tune failed: {why}")
                case Searched():
                    return True
                case Broken(error):
                    raise error
        return False

    def close(self) -> None:
        """End the process, and a private cluster with it. Idempotent."""
        self._host.connection.close()
        self._host.end(grace_s=10.0)
        self._host.close()
        self._remove_folder()

    def _lost(self, what: str) -> PoolError:
        error = PoolError(what, "Type the same command again, or use another --tuning-method.")
        error.add_note(self._host.tail())
        return error

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
