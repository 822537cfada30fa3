"""The ridge regression of `project`, whose model can be loaded again, or not, as the environment says."""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.retrain.deploy.project import Project, Ridge
from tuner.experiment import Params, Value

KIND = "tests.retrain.deploy.reloadable:Reloadable"
FAULT = "RELOADABLE_FAULT"
"""What goes wrong in the process that loads: a number that is added to predictions, or a word."""


class Reloadable(Ridge):
    """Predicts y for a row {"x": number}."""

    def __init__(self) -> None:
        super().__init__()

    @property
    def can_predict(self) -> bool:
        return True

    def save(self, model: Any, folder: Path) -> Sequence[Path]:
        if os.environ.get(FAULT) == "unsaved":
            model = {**model, "weights": [0.0 for _ in model["weights"]]}
        return super().save(model, folder)

    def load_model(self, folder: Path) -> Any:
        _fail(os.environ.get(FAULT, ""))
        return json.loads((folder / "model.json").read_text())

    def sample_rows(self, n: int) -> list[dict[str, Value]]:
        return [{"x": float(x)} for x in self.x[:n]]

    def predict_rows(self, model: Any, rows: Sequence[Mapping[str, Value]]) -> list[Any]:
        x = np.array([row["x"] for row in rows], dtype=float)
        params: Params = model["params"]
        features = np.vander(x, int(params["degree"] or 0) + 1, increasing=True)
        shift = os.environ.get(FAULT, "")
        found = features @ np.array(model["weights"])
        return list(found * (1 + float(shift)) if shift[:1].isdigit() else found)


def _fail(fault: str) -> None:
    match fault:
        case "raise":
            raise ValueError("no such thing\nhere")
        case "exit":
            sys.exit(0)
        case "leave":
            os._exit(0)
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hang":
            time.sleep(1000)
        case "memory":
            np.ones(2**40)
        case "grow":
            np.ones(2**27)  # 1 GiB
        case "print":
            os.write(1, b'{"predictions": []}\n')
            print("loading ...")
            print("[]", file=sys.__stdout__, flush=True)


def reloadable(root: Path, extra: str = "") -> Project:
    """A project of it, into which nothing was deployed yet."""
    project = Project(root, extra=extra)
    toml = root / "retrain.toml"
    toml.write_text(toml.read_text().replace("tests.retrain.deploy.project:Ridge", KIND))
    project.pipeline = Reloadable()
    return project
