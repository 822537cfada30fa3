"""A tiny real project: ridge regression by numpy, its model saved as JSON; and a process of it to kill."""

import contextlib
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrain.config import Config, load_config
from retrain.deploy import ApplyReport, Overrides, apply, retrain, rollback
from retrain.deploy.versions import VersionStore
from retrain.pipeline import Pipeline, Report, Scores
from tuner.errors import RetrainError
from tuner.experiment import Direction, Evaluation, Params, Provenance
from tuner.registry import open_registry
from tuner.registry.base import Registry, VersionState
from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace

WHO = "tester"

MODULE = """# Served by app.py; see docs.
ALPHA = 0.50  # ridge penalty
DEGREE = 1
CENTRED = True


def helper():
    ALPHA = 3  # not the constant
    return ALPHA
"""

SPACE = SearchSpace(
    [
        FloatParam("alpha", 1e-6, 100.0, log=True, default=0.5),
        IntParam("degree", 1, 4, default=1),
        CategoricalParam("centred", [True, False]),
    ]
)


class Ridge(Pipeline):
    """y = x^2 + noise: degree 2 and a small alpha are clearly best. `code` stands for the code's version."""

    name = "ridge"
    space = SPACE
    metric = "rmse"
    direction = Direction.MINIMIZE

    def __init__(self, *, fits: bool = True, code: str = "1") -> None:
        rng = np.random.default_rng(0)
        self.x = rng.uniform(-1, 1, 60)
        self.y = self.x**2 + rng.normal(0, 0.05, 60)
        self.fits = fits
        self.code = code

    def provenance(self) -> Provenance:
        return Provenance("toy", self.code, "rmse on 4 folds")

    @property
    def can_fit(self) -> bool:
        return self.fits

    def evaluate(self, params: Params, report: Report, seed: int) -> Evaluation:
        order = np.random.default_rng(seed).permutation(48)
        values = []
        for fold in range(4):
            held = order[fold::4]
            kept = np.setdiff1d(order, held)
            values.append(self._rmse(self._solve(params, kept), params, held))
            report(fold, {"rmse": values[-1]})
        return Evaluation(float(np.mean(values)), float(np.std(values, ddof=1) / 2))

    def fit(self, params: Params, seed: int) -> Any:
        return {"weights": self._solve(params, np.arange(48)).tolist(), "params": dict(params)}

    def test(self, model: Any) -> Scores:
        error = self._rmse(np.array(model["weights"]), model["params"], np.arange(48, 60))
        return Scores({"test_rmse": error}, 12)

    def save(self, model: Any, folder: Path) -> Sequence[Path]:
        path = folder / "model.json"
        path.write_text(json.dumps(model))
        return [path]

    def _features(self, params: Params, rows: np.ndarray) -> np.ndarray:
        return np.vander(self.x[rows], int(params["degree"] or 0) + 1, increasing=True)

    def _solve(self, params: Params, rows: np.ndarray) -> np.ndarray:
        features = self._features(params, rows)
        penalty = float(params["alpha"] or 0) * np.eye(features.shape[1])
        return np.linalg.solve(features.T @ features + penalty, features.T @ self.y[rows])

    def _rmse(self, weights: np.ndarray, params: Params, rows: np.ndarray) -> float:
        return float(np.sqrt(np.mean((self._features(params, rows) @ weights - self.y[rows]) ** 2)))


GOOD = {"alpha": 0.01, "degree": 2, "centred": True}
BETTER = {"alpha": 0.001, "degree": 2, "centred": False}
BAD = {"alpha": 100.0, "degree": 1, "centred": True}


class Project:
    """A project folder with configuration, target file and registry."""

    def __init__(
        self, root: Path, target: str | None = "model.py", content: str | None = MODULE, extra: str = ""
    ):
        self.root = root
        line = "" if target is None else f'target = "{target}"\n'
        (root / "retrain.toml").write_text(
            'name = "ridge"\n[pipeline]\nkind = "tests.retrain.deploy.project:Ridge"\nmetric = "rmse"\n'
            f"[deploy]\n{line}{extra}"
        )
        self.target = root / (target or "none")
        if target is not None and content is not None:
            self.target.write_bytes(content.encode())
        self.pipeline = Ridge()

    @property
    def config(self) -> Config:
        return load_config(self.root, environ={})

    @contextlib.contextmanager
    def registry(self) -> Iterator[Registry]:
        with open_registry(str(self.root / "experiments.db"), create=True) as registry:
            yield registry

    def apply(self, params: Params, **options: Any) -> ApplyReport:
        with self.registry() as registry:
            return apply(self.config, self.pipeline, registry, params, **{"who": WHO, **options})

    def retrain(self, **options: Any) -> ApplyReport:
        with self.registry() as registry:
            return retrain(self.config, self.pipeline, registry, **{"who": WHO, **options})

    def rollback(self, version: int | None = None, **options: Any) -> ApplyReport:
        with self.registry() as registry:
            return rollback(self.config, registry, version, **{"who": WHO, **options})

    def tree(self) -> dict[str, bytes]:
        """Every file and its content, the registry's files and the lock apart."""
        skipped = ("experiments.db", ".lock")
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and not path.name.startswith(skipped)
        }


def assert_consistent(project: Project) -> int:
    """One active version, all whole and unchanged; pointer and target agree with it; nothing is left over."""
    with project.registry() as registry:
        versions = registry.versions("ridge")
        assert [v.state for v in versions].count(VersionState.ACTIVE) == 1
        assert all(v.state != VersionState.STAGED for v in versions)
        active = registry.find_active("ridge")
        assert active is not None
        assert registry.deployments("ridge")[-1].to_version == active.number
    store = VersionStore.of(project.config)
    for version in versions:
        store.check(version)
    assert sorted(p.name for p in store.folder.iterdir()) == [
        ".lock",
        *(f"{v.number:06d}" for v in versions),
        "current.json",
    ]
    pointer = json.loads((store.folder / "current.json").read_text())["ridge"]
    assert (pointer["version"], pointer["params"]) == (active.number, dict(active.params))
    assert pointer["folder"] == f"{active.number:06d}"
    if project.target.suffix == ".py":
        names: dict[str, Any] = {}
        exec(project.target.read_text(), names)
        assert {name: names[name.upper()] for name in active.params} == dict(active.params)
    assert not [p.name for p in project.root.iterdir() if "tmp" in p.name]
    return active.number


def in_process(
    root: Path, act: str, *arguments: Any, crash: str = ""
) -> "multiprocessing.process.BaseProcess":
    """Start `act` of `_ACTS` in a process of its own, which dies at the crash point."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.retrain.deploy.project", "retrain.deploy.target_python"])
    process = context.Process(target=_run, args=(str(root), act, arguments, crash))
    process.start()
    return process


def run(root: Path, act: str, *arguments: Any, crash: str = "") -> int:
    """Run `act` to its end and return the exit code."""
    process = in_process(root, act, *arguments, crash=crash)
    process.join(60)
    code = process.exitcode
    process.close()
    assert code is not None
    return code


def _apply(root: Path, params: Params) -> None:
    existing(root).apply(params)


def _apply_overridden(root: Path) -> None:
    existing(root).apply(BAD, overrides=Overrides(("default",), "a drill"))


def _rollback(root: Path) -> None:
    existing(root).rollback()


def _apply_many(root: Path, seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(n):
        existing(root).apply({"alpha": float(rng.uniform(0.01, 1)), "degree": 2, "centred": True})


_ACTS: dict[str, Callable[..., None]] = {
    "apply": _apply,
    "apply_overridden": _apply_overridden,
    "rollback": _rollback,
    "apply_many": _apply_many,
}


def existing(root: Path) -> Project:
    """The project in a folder, as it is."""
    project = object.__new__(Project)
    project.root = root
    project.pipeline = Ridge()
    project.target = root / "model.py"
    return project


def _run(root: str, act: str, arguments: Sequence[Any], crash: str) -> None:
    if crash:
        os.environ["RETRAIN_CRASH"] = crash
    try:
        _ACTS[act](Path(root), *arguments)
    except RetrainError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        os._exit(1)
    os._exit(0)
