"""A stored model, loaded and asked in a process of its own, as whoever serves it will do.

A damaged model may crash the library that reads it, or ask for all of the memory. The process has a limit on
memory and time, and what it says is checked for being JSON and nothing else.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from signal import Signals
from typing import Any

from tuner.errors import RetrainError, StorageError

__all__ = ["answer", "plain", "predict_afresh"]

TABULAR = "tabular"
_BOOT = (
    "import json, sys; given = json.load(sys.stdin); sys.path[:] = given['path'];"
    " from retrain.reloading import answer; answer(given)"
)
_BASE_BYTES, _BYTES_PER_BYTE = 4 * 2**30, 20
_BASE_S, _S_PER_MIB = 120.0, 2.0
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def predict_afresh(
    folder: Path,
    kind: str,
    rows: Sequence[Mapping[str, Any]],
    config: Path,
    *,
    timeout_s: float | None = None,
) -> list[Any]:
    """Load a model in a fresh process, and return what it predicts for `rows`: one plain value for each.

    The process may use 4 GiB of memory and 20 times the size of the model, and 120 s and 2 s for each MiB.

    Args:
        folder: what the pipeline saved, its hashes checked before.
        kind: of the pipeline that saved it: "tabular", or a user's own by its reference.
        rows: as the pipeline's `predict_rows` takes them.
        config: the configuration, from which a user's own pipeline is built; a table's needs none.
        timeout_s: instead of the limit above.

    Raises:
        StorageError: the model cannot be loaded, or asked; says why, or what the process died of.
    """
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    limit_s = timeout_s or _BASE_S + _S_PER_MIB * size / 2**20
    request = {
        "path": [os.path.abspath(entry) for entry in sys.path],  # noqa: PTH100 - resolves no links
        "folder": str(folder.resolve()),
        "kind": kind,
        "rows": [dict(row) for row in rows],
        "config": str(config.resolve()),
        "max_bytes": _BASE_BYTES + _BYTES_PER_BYTE * size,
        "max_s": math.ceil(limit_s),
    }
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-c", _BOOT],
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=limit_s,
            check=False,
            env={**_ONE_THREAD, **os.environ},
        )
    except subprocess.TimeoutExpired:
        raise StorageError(f"it was not loaded within {limit_s:g} s") from None
    except OSError as error:
        raise StorageError(f"no process can be started to load it: {error.strerror}") from error
    return _read(done, len(rows))


def _read(done: "subprocess.CompletedProcess[bytes]", n_rows: int) -> list[Any]:
    reply: Any = None
    with suppress(ValueError, RecursionError):
        reply = json.loads(done.stdout)
    if done.returncode == 0 and isinstance(reply, dict) and "error" in reply:
        raise StorageError(str(reply["error"]))
    predictions = reply.get("predictions") if isinstance(reply, dict) else None
    if done.returncode != 0 or not isinstance(predictions, list):
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or [""])[-1]
        raise StorageError(f"loading it {_ending(done.returncode)}{': ' if last else ''}{last}")
    if len(predictions) != n_rows:
        raise StorageError(f"it predicts {len(predictions)} values for {n_rows} rows")
    return predictions


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"ended with {Signals(-code).name}"
    except ValueError:
        return f"ended with signal {-code}"


def answer(given: Mapping[str, Any]) -> None:
    """What the fresh process does: answers on stdout with one JSON object, whatever user code prints."""
    _limit(given["max_bytes"], given["max_s"])
    stdout = os.dup(1)
    os.dup2(2, 1)
    reply: dict[str, Any]
    try:
        reply = {"predictions": [plain(each) for each in _predict(given)]}
    except RetrainError as error:
        reply = {"error": str(error)}
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a library or user code raises
        reply = {"error": f"{type(error).__name__}: {error}".rstrip(": ")}
    with os.fdopen(stdout, "w", encoding="utf-8") as file:
        json.dump(reply, file)
        file.flush()
    os._exit(0)  # threads of a library, or what a user's pipeline started, are not waited for


def _limit(max_bytes: int, max_s: int) -> None:
    import resource

    for kind, wanted in (
        (
            resource.RLIMIT_DATA,
            max_bytes,
        ),  # not of addresses, of which drivers reserve far more than they use
        (resource.RLIMIT_CPU, max_s),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (soft, hard))


def _predict(given: Mapping[str, Any]) -> Sequence[Any]:
    folder, rows = Path(given["folder"]), given["rows"]
    if given["kind"] == TABULAR:
        from retrain.pipelines.artifact import load_tabular_model

        model = load_tabular_model(folder)
        return model.predict_rows(rows) if rows else []
    from retrain.config import load_config
    from retrain.pipelines import load_pipeline

    pipeline = load_pipeline(load_config(Path(given["config"])))
    loaded = pipeline.load_model(folder)
    return pipeline.predict_rows(loaded, rows) if rows else []


def plain(value: Any) -> Any:
    """Return a prediction as JSON holds it: numbers of any library as Python's, what is not finite as None.

    Raises:
        TypeError: it is none.
    """
    if hasattr(value, "tolist"):  # numpy, and what behaves like it
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    kind = type(value).__name__
    raise TypeError(f"a prediction must be a label, a number or a list of them, but is a {kind}")
