"""The process that runs Ray Tune on behalf of a RayTuning.

Each trial evaluates one configuration; what it reports on the way, such as the score of each fold, goes to
the scheduler as the mean so far, by which it stops what is behind.
"""

import math
import pickle
import queue
import threading
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from orchestrator.child import Broken
from orchestrator.payload import build_pipeline
from orchestrator.pool import Progress, Task
from orchestrator.ray_cluster import Cluster, join, leave
from orchestrator.ray_pool import HostOrder
from orchestrator.ray_tuning import Search, Searched, Tried
from orchestrator.worker import run_task, shortened
from retrain.pipeline import Pipeline
from tuner.errors import PoolError
from tuner.experiment import Evaluation, Failure, Measurement, Outcome
from tuner.space import CategoricalParam, FloatParam, IntParam, Param, SearchSpace

__all__ = ["domain_of", "evaluate_trial", "main"]

_RESULT = "result"
_REDUCTION_FACTOR = 3


def main(connection: Connection, payload: int) -> None:
    """Join the cluster, and run one search after another until the connection is closed."""
    order: HostOrder = connection.recv()
    searches: queue.SimpleQueue[Search] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(connection, searches, order), daemon=True).start()

    def send(message: object) -> None:
        connection.send_bytes(pickle.dumps(message))

    try:
        cluster = join(order, payload)
    except PoolError as error:
        send(Broken(error))
        threading.Event().wait()  # until the reader finds the connection closed, and ends the process
        return
    while True:
        search = searches.get()
        why = ""
        try:
            _run(search, cluster, order, send)
        except Exception as error:  # noqa: BLE001 - whatever Ray Tune raises, the other side says it
            why = f"{type(error).__name__}: {error}"
        send(Searched(why))


def _read(connection: Connection, searches: "queue.SimpleQueue[Search]", order: HostOrder) -> None:
    try:
        while True:
            searches.put(connection.recv())
    except (EOFError, OSError):
        leave(order)


def domain_of(param: Param) -> Any:
    """The same parameter in the words of Ray Tune, its condition aside."""
    from ray import tune

    if isinstance(param, CategoricalParam):
        return tune.choice(list(param.choices))
    if param.step not in (None, 1 if isinstance(param, IntParam) else None):
        n = math.floor((param.high - param.low) / param.step + 1e-9) + 1
        return tune.choice([param.low + i * param.step for i in range(n)])
    if isinstance(param, FloatParam):
        return (tune.loguniform if param.log else tune.uniform)(param.low, param.high)
    return (tune.lograndint if param.log else tune.randint)(param.low, param.high + 1)


def _run(search: Search, cluster: Cluster, order: HostOrder, send: Callable[[object], None]) -> None:
    """One call of `Tuner.fit`."""
    import tempfile

    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.basic_variant import BasicVariantGenerator

    space = SearchSpace.from_dict(search.space)
    with tempfile.TemporaryDirectory(prefix="retrain-tune-", dir=order.folder) as folder:
        tune.Tuner(
            _trainable(search, cluster, order),
            param_space={name: domain_of(space.params[name]) for name in space.names},
            tune_config=tune.TuneConfig(
                metric=search.metric,
                mode=search.mode,
                num_samples=search.n_trials,
                search_alg=BasicVariantGenerator(
                    points_to_evaluate=[dict(space.defaults())],
                    max_concurrent=order.n_workers,
                    random_state=search.seed % 2**32,
                ),
                # The last report of a whole evaluation carries its result, after those of the steps.
                scheduler=ASHAScheduler(
                    max_t=search.n_steps + 1, grace_period=1, reduction_factor=_REDUCTION_FACTOR
                ),
                time_budget_s=search.timeout_s,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=folder, name="run", verbose=0, callbacks=[_teller(search, space, send)]
            ),
        ).fit()


def _trainable(search: Search, cluster: Cluster, order: HostOrder) -> Any:
    """What a trial runs. It travels by value, and arrives where our packages may not be importable yet."""
    blocks, there, cwd = cluster.payload, order.surroundings.sys_path, order.surroundings.cwd

    def trial(config: Mapping[str, Any]) -> None:
        import os
        import sys

        sys.path[:] = [*there, *(path for path in sys.path if path not in there)]
        if cwd is not None and os.path.isdir(cwd):  # noqa: PTH112
            os.chdir(cwd)
        from orchestrator.ray_tuning_host import evaluate_trial

        evaluate_trial(search, blocks, dict(config))

    from ray import tune

    return tune.with_resources(trial, {"cpu": 1})


_built: dict[str, Pipeline] = {}
"""The pipeline of this process, which serves one trial after another."""


def evaluate_trial(search: Search, blocks: Any, config: Mapping[str, Any]) -> None:
    """Evaluate the configuration of a trial, in its own process, and report to Ray Tune."""
    import ray
    from ray import tune

    if not _built:
        _built["only"] = build_pipeline(ray.get(blocks))
    space = SearchSpace.from_dict(search.space)
    values: list[float] = []
    stopped: list[BaseException] = []

    def report(each: Progress) -> None:
        if search.metric not in each.metrics:
            return
        values.append(each.metrics[search.metric])
        told = {search.metric: math.fsum(values) / len(values), "step": each.step, "latest": values[-1]}
        try:
            tune.report(told)
        except BaseException as error:  # how Ray ends a trial that its scheduler has stopped
            stopped.append(error)
            raise

    params = {**space.active(config), **search.extra}
    result = run_task(_built["only"], Task("trial", params, search.seed), report)
    if stopped:
        raise stopped[0]
    value = result.value if isinstance(result, Evaluation) else _worst(search)
    tune.report({search.metric: value, _RESULT: pickle.dumps(result)})


def _worst(search: Search) -> float:
    """What a failed trial counts as for the scheduler, which takes numbers only."""
    return -math.inf if search.mode == "max" else math.inf


def _teller(search: Search, space: SearchSpace, send: Callable[[object], None]) -> Any:
    """A callback of Ray Tune that tells of each trial when it ends."""
    from ray.tune import Callback

    reports: dict[str, list[Measurement]] = {}

    class Teller(Callback):  # Ray calls these by the names of their arguments
        def on_trial_result(  # type: ignore[override]
            self, trial: Any, result: dict[str, Any], **_: Any
        ) -> None:
            if "latest" in result and _RESULT not in result:
                each = Measurement(int(result["step"]), search.metric, float(result["latest"]))
                reports.setdefault(trial.trial_id, []).append(each)

        def on_trial_complete(self, trial: Any, **_: Any) -> None:  # type: ignore[override]
            self._tell(trial, None)

        def on_trial_error(self, trial: Any, **_: Any) -> None:  # type: ignore[override]
            lines = str(trial.get_error() or "the trial failed").strip().splitlines()
            self._tell(trial, shortened(Failure(Outcome.WORKER_LOST, lines[-1], "\n".join(lines))))

        def _tell(self, trial: Any, failure: Failure | None) -> None:
            last = trial.last_result or {}
            given = last.get(_RESULT)
            result = failure or (None if given is None else pickle.loads(given))  # noqa: S301 - our own trial's
            told = tuple(reports.pop(trial.trial_id, []))
            params = space.active(trial.config)
            send(Tried(params, result, told, float(last.get("time_total_s", 0.0))))

    return Teller()
