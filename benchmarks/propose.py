"""Seconds to write 20 candidates into the registry with 200 experiments finished, imports apart.

The peer is scikit-optimize's own `Optimizer` (Gaussian process, constant liar) told the same 200 results and
asked for 5, since 20 would take minutes.

    python benchmarks/propose.py [--runs 3]
"""

import argparse
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from skopt import Optimizer
from skopt.space import Categorical, Integer, Real
from tabulate import tabulate

from tuner.errors import UsageError
from tuner.experiment import Direction, Evaluation, Params, Provenance, Study, Suggestion
from tuner.generators import METHODS
from tuner.presets import load_preset
from tuner.propose import propose
from tuner.registry import open_registry
from tuner.registry.base import Registry, StudySpec
from tuner.space import CategoricalParam, FloatParam, SearchSpace

N_FINISHED, N_WANTED, N_PEER = 200, 20, 5


def loss(params: Params, space: SearchSpace) -> float:
    """A bowl in the unit cube with a little deterministic noise: only the time to propose is measured."""
    unit = space.encode([params])[0]
    return float(np.sum((unit - 0.4) ** 2) + 0.01 * np.sin(1e3 * unit.sum()))


def fill(registry: Registry, space: SearchSpace) -> Study:
    """A study with `N_FINISHED` random experiments finished."""
    spec = StudySpec("propose", space.to_dict(), "value", Direction.MINIMIZE, space.defaults())
    study = registry.open_study(spec)
    rng = np.random.default_rng(0)
    registry.add(study, [Suggestion(space.sample(rng), "random") for _ in range(N_FINISHED)])
    for claim in registry.claim(study, N_FINISHED):
        value = loss(dict(claim.experiment.params), space)
        registry.complete(claim, Evaluation(value, duration_s=1.0), Provenance())
    return study


def ours(method: str, space: SearchSpace) -> float:
    """Seconds of one `propose` call on a fresh registry: read, learn, generate, write durably."""
    with (
        tempfile.TemporaryDirectory() as folder,
        open_registry(str(Path(folder) / "experiments.db"), create=True) as registry,
    ):
        study = fill(registry, space)
        start = time.perf_counter()
        written = propose(registry, study, method, N_WANTED)
        elapsed = time.perf_counter() - start
    assert len(written) == N_WANTED, f"{method} wrote {len(written)}"
    return elapsed


def peer(space: SearchSpace) -> float:
    """Seconds of scikit-optimize's Optimizer for `N_PEER` points."""
    dimensions = []
    for p in space.params.values():
        if isinstance(p, CategoricalParam):
            dimensions.append(Categorical(list(p.choices)))
        else:
            kind = Real if isinstance(p, FloatParam) else Integer
            dimensions.append(kind(p.low, p.high, prior="log-uniform" if p.log else "uniform"))
    rng = np.random.default_rng(0)
    configs = [space.sample(rng) for _ in range(N_FINISHED)]
    optimizer = Optimizer(dimensions, base_estimator="GP", n_initial_points=10, random_state=0)
    start = time.perf_counter()
    optimizer.tell([list(c.values()) for c in configs], [loss(c, space) for c in configs])
    optimizer.ask(N_PEER)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    space = load_preset("xgboost/default")
    rows = []
    for method in METHODS:
        try:
            ours(method, space)  # imports and first-call costs are not counted
        except UsageError as error:  # it needs a package that is not installed here
            print(f"{method} was not measured. {error}")
            continue
        times = [ours(method, space) for _ in range(runs)]
        rows.append((method, N_WANTED, statistics.median(times), statistics.median(times) / N_WANTED))
    elapsed = peer(space)
    rows.append(("scikit-optimize Optimizer, GP", N_PEER, elapsed, elapsed / N_PEER))
    print(f"{len(space)} parameters, {N_FINISHED} finished, seconds (median of {runs})")
    print(tabulate(rows, headers=["method", "candidates", "seconds", "per candidate"], floatfmt=".3f"))


if __name__ == "__main__":
    main()
