"""The step: look for hyperparameters, then train with the best, and say what a bigger pipeline has to know.

    from examples.trainer.trainer import train

    result = train(folder, "death", method="tpe", pruner="median", trials=30, timeout_s=600)
    result["best_hyperparameters"], result["training_run"]["model"]

It scores on validation folds alone. Neither the search nor the training sees the rows that are held out.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from examples.trainer.contract import HpoResult, checked
from examples.trainer.settings import METHODS, METRICS, MODELS, PRUNERS, TASKS, Settings
from orchestrator.launch import launch
from orchestrator.plan import StopReason
from orchestrator.progress import open_display
from orchestrator.request import Request
from orchestrator.result import RunResult
from orchestrator.signals import StopRequest, StopSignals
from retrain.config import Config, load_config
from retrain.params import best_params
from retrain.pipeline import Pipeline
from retrain.pipelines import load_pipeline
from tuner.errors import RetrainError, UsageError, did_you_mean
from tuner.experiment import Experiment
from tuner.registry import open_registry

__all__ = ["main", "search", "train"]

_AS_WRITTEN = argparse.RawDescriptionHelpFormatter


def train(folder: Path, task: str, stop: StopRequest | None = None, **settings: Any) -> dict[str, Any]:
    """Search, then fit the best on all rows but the test set, and store it beside what it came from.

    Args:
        folder: holds the configurations and the data; the registry and the models go there.
        task: "death" or "weight".
        stop: hears of signals, where somebody listens.
        settings: those of `Settings`.

    Returns:
        The keys of `HpoResult`, and `training_run`: the study and the experiment that the model was trained
        after, where it lies, and what it was trained on; None where nothing was found.

    Raises:
        UsageError: a setting, the configuration or the data must change; nothing was run.
        ContractError: a fault of this step: what it found is not what it promises.
    """
    asked = Settings(**settings)
    config = _configured(folder, task, asked)
    found, best = _searched(config, asked, stop or StopRequest())
    return {**found, "training_run": None if best is None else _trained(config, best, found)}


def search(folder: Path, task: str, stop: StopRequest | None = None, **settings: Any) -> HpoResult:
    """Look for hyperparameters on validation data; arguments and errors as of `train`."""
    asked = Settings(**settings)
    return _searched(_configured(folder, task, asked), asked, stop or StopRequest())[0]


def _configured(folder: Path, task: str, asked: Settings) -> Config:
    if task not in TASKS:
        raise UsageError(
            f"Unknown task {task!r}.{did_you_mean(task, TASKS)}", f"There are: {', '.join(TASKS)}."
        )
    return load_config(folder / TASKS[task], asked.overrides)


def _searched(config: Config, asked: Settings, stop: StopRequest) -> tuple[HpoResult, Experiment | None]:
    request = Request(
        method=asked.method,
        memory=config.study.similarity,
        pruner=config.pruning.pruner,
        pruner_options=config.pruning.options,
        n_configs=asked.trials,
        warm_start=config.study.warm_start,
        n_workers=asked.workers,
        pool=asked.pool,
        timeout_s=asked.timeout_s,
        seed=asked.seed,
    )
    start = time.perf_counter()
    with open_display(quiet=not asked.progress) as display:
        result = launch(config, request, display=display, stop=stop)
    seconds = time.perf_counter() - start
    return checked(_document(result, load_pipeline(config), config, seconds)), result.best


def _document(result: RunResult, pipeline: Pipeline, config: Config, seconds: float) -> dict[str, Any]:
    best = result.best
    found = {} if best is None else best.params
    return {
        "hpo_completed": result.reason is StopReason.DONE,
        "hpo_best_trial": None if best is None else best.public_id,
        "best_hyperparameters": best_params(pipeline.space, found, config.pipeline.fixed),
        "hpo_study_name": result.study.name,
        "hpo_best_value": None if best is None else best.value,
        "hpo_trials_run": result.n_complete + result.n_pruned + result.n_failed,
        "hpo_duration_seconds": seconds,
    }


def _trained(config: Config, best: Experiment, found: HpoResult) -> dict[str, Any]:
    """Fit and store the model of an experiment; its folder and the registry say which study it came from."""
    pipeline = load_pipeline(config)
    pipeline.use(pipeline.load())
    model = pipeline.fit(best.params, config.study.seed)
    folder = config.root / "runs" / found["hpo_study_name"] / best.public_id
    (folder / "model").mkdir(parents=True, exist_ok=True)
    pipeline.save(model, folder / "model")
    provenance = pipeline.provenance()
    run = {
        "study": found["hpo_study_name"],
        "experiment": best.public_id,
        "model": str((folder / "model").relative_to(config.root)),
        "data": provenance.data,
        "code": provenance.code,
    }
    record = {**found, **run, "fit": dict(pipeline.fit_rule(model))}
    (folder / "training.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    with open_registry(config.db, create=False) as registry:
        registry.log(
            "trained",
            f"a model was trained after {best.public_id}",
            study=run["study"],
            experiment=run["experiment"],
            folder=run["model"],
        )
    return run


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m examples.trainer.trainer TASK ...`: run the step, and print what it returns."""
    parser = argparse.ArgumentParser(prog="trainer", description=__doc__, formatter_class=_AS_WRITTEN)
    parser.add_argument("task", help=", ".join(TASKS))
    parser.add_argument("--folder", type=Path, default=Path(), help="with nhefs.csv; this one by default")
    parser.add_argument("--models", nargs="+", metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument("--method", default="bayesian", help=", ".join(METHODS))
    parser.add_argument("--pruner", default="none", help=", ".join(PRUNERS))
    parser.add_argument("--metric", help=", ".join(METRICS))
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--timeout", type=float, metavar="SECONDS", dest="timeout_s")
    parser.add_argument("--study")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--warm-start", nargs="+", metavar="STUDY", default=())
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--workers", type=int)
    settings = vars(parser.parse_args(argv))
    folder, task = settings.pop("folder"), settings.pop("task")
    try:
        with StopSignals() as stop:
            found = train(folder, task, stop, progress=True, **settings)
    except RetrainError as error:
        print(f"error: {error}\ntry: {error.remedy}", file=sys.stderr)
        return error.exit_code
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
