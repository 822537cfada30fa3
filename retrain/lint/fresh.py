"""One evaluation in a process of its own, where nothing is left of earlier ones."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from retrain.config import Config, load_config
from retrain.lint.probe import Score, score
from retrain.pipelines import load_pipeline
from tuner.experiment import Failure, Measurement, Outcome, Params

__all__ = ["main", "score_in_fresh_process"]

_PROGRAM = "import sys; from retrain.lint.fresh import main; main(*sys.argv[1:])"


def score_in_fresh_process(
    config: Config, params: Params, seed: int, timeout_s: float | None
) -> Score | None:
    """Score a configuration in another process; None where it did not end in time, or not with a result."""
    request = {"config": str(config.source.resolve()), "params": dict(params), "seed": seed}
    with TemporaryDirectory(prefix="retrain-") as folder:
        answer = Path(folder) / "score.json"
        try:
            subprocess.run(  # noqa: S603 - our own module, by our own interpreter
                [sys.executable, "-c", _PROGRAM, json.dumps(request), str(answer)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return None
        if not answer.exists():
            return None
        return _read(json.loads(answer.read_text("utf-8")))


def _read(document: Mapping[str, Any]) -> Score:
    failure = document["failure"]
    return Score(
        document["value"],
        document["metrics"],
        tuple(Measurement(**each) for each in document["reports"]),
        None if failure is None else Failure(Outcome(failure["outcome"]), failure["message"]),
    )


def main(request: str, answer: str) -> None:
    """Score what a request says, and write the answer into a file."""
    given = json.loads(request)
    pipeline = load_pipeline(load_config(Path(given["config"])))
    pipeline.use(pipeline.load())
    found = score(pipeline, given["params"], given["seed"])
    document = {
        "value": found.value,
        "metrics": dict(found.metrics),
        "reports": [asdict(each) for each in found.reports],
        "failure": None
        if found.failure is None
        else {"outcome": found.failure.outcome.value, "message": found.failure.message},
    }
    Path(answer).write_text(json.dumps(document), encoding="utf-8")
