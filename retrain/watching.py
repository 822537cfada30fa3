"""`retrain --watch-metric FILE --min X`: a small tuning when a monitored metric falls below its floor.

Whoever serves the model writes what it measures to a file; a timer calls this. The last entry counts. Each
entry starts one tuning at most, so that a metric that stays low does not start one with every call.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retrain.config import Config
from retrain.metrics import direction_of
from retrain.monitored import Reading, read_metric
from retrain.opening import open_or_make
from retrain.tables import number, render, to_json
from tuner.errors import NotFoundError, UsageError
from tuner.registry import open_registry

__all__ = ["BELOW", "CONFIGS", "TIMEOUT", "Watched", "watch", "watched_text"]

BELOW = "metric_below_floor"
"""Kind of the event."""

CONFIGS, TIMEOUT = 5, "10m"
"""What a conservative tuning is: so many experiments, for so long at most."""

_N_EVENTS = 200
_TUNED = (0, 5)  # exit codes after which there is a result

Start = Callable[[Sequence[str], Mapping[str, str]], int]
"""Runs a command line with these environment variables on top, and returns its exit code."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What came of a look at the file.

    Attributes:
        low, high: the bounds, either of which may be None.
        is_met: whether the value keeps them.
        study: that is tuned.
        known_since: Unix seconds of the tuning that this entry has started already, or None.
        command: of the tuning; empty where none was started.
        code: its exit code; 0 where none was started.
    """

    reading: Reading
    low: float | None
    high: float | None
    is_met: bool
    study: str = ""
    known_since: float | None = None
    command: tuple[str, ...] = ()
    code: int = 0


def watch(
    config: Config,
    path: Path,
    *,
    low: float | None = None,
    high: float | None = None,
    force: bool = False,
    flags: Sequence[str] = (),
    start: Start | None = None,
) -> Watched:
    """Look at the last entry of a monitoring file, and start a conservative tuning where it breaks a bound.

    Args:
        config: names the metric, the study and the registry.
        path: JSON (a number, an object, or a list of either), one JSON document in a line, or CSV with a
            header.
        low: the least that is good enough; this, `high` or both must be given.
        high: the most.
        force: start one although this entry has started one already.
        flags: common options for the command that is started.
        start: runs it; as a child process whose output is this one's by default.

    Raises:
        UsageError: no bound, or bounds that nothing can keep.
        DataError: the file holds no number of the metric; says what it holds.
        NotFoundError: there is no such file, or no `orchestrator` to call.
    """
    _check_bounds(config, low, high)
    reading = read_metric(path, config.pipeline.metric)
    is_met = (low is None or reading.value >= low) and (high is None or reading.value <= high)
    if is_met:
        return Watched(reading, low, high, True)
    if not force and (since := _known_since(config, reading)) is not None:
        return Watched(reading, low, high, False, known_since=since)
    study, variables = _what_to_tune(config)
    command = [_program(), *flags, "--study", study, "--method", "bayesian", "--configs", str(CONFIGS)]
    command += ["--timeout", TIMEOUT]
    code = (start or _start)(command, variables)
    with open_or_make(config, lambda: None) as registry:
        registry.log(
            BELOW,
            f"{reading.name} is {number(reading.value)}, {_bounds(low, high)}: tuned, exit code {code}.",
            salience=0.8,
            pipeline=config.name,
            digest=reading.digest,
            value=reading.value,
            code=code,
            command=command,
        )
    return Watched(reading, low, high, False, study, None, tuple(command), code)


def _check_bounds(config: Config, low: float | None, high: float | None) -> None:
    direction = config.pipeline.direction or direction_of(config.pipeline.metric or "")
    if low is None and high is None:
        such_as = "--max 0.5" if direction == "minimize" else "--min 0.9"
        raise UsageError(
            "--watch-metric needs a bound: --min, --max or both.", f"Add {such_as}, for example."
        )
    if low is not None and high is not None:
        if low > high:
            raise UsageError(f"--min must be at most --max, but got {low:g} and {high:g}.", "Exchange them.")
        return
    wrong, right = ("--min", "--max") if low is not None else ("--max", "--min")
    if direction == ("minimize" if low is not None else "maximize"):
        better = "Less" if low is not None else "More"
        raise UsageError(
            f"{better} of {config.pipeline.metric} is better: {wrong} alone would tune where it is good.",
            f"Give {right}, or both.",
        )


def _known_since(config: Config, reading: Reading) -> float | None:
    try:
        registry = open_registry(config.db, create=False, allow_network_fs=config.allow_network_fs)
    except NotFoundError:
        return None
    with registry:
        for event in registry.events(_N_EVENTS, kind=BELOW):
            data = event.data
            same = (data.get("pipeline"), data.get("digest")) == (config.name, reading.digest)
            if same and data.get("code") in _TUNED:
                return event.at
    return None


def _program() -> str:
    beside = Path(sys.executable).with_name("orchestrator")
    program = str(beside) if beside.is_file() else shutil.which("orchestrator")
    if program is None:
        raise NotFoundError(
            "There is no program `orchestrator` beside this Python nor on the PATH.",
            "Install the project: pip install -e .",
        )
    return program


def _what_to_tune(config: Config) -> tuple[str, dict[str, str]]:
    """The study, and what to set for it: the narrow preset of the model, unless the space is one's own."""
    space = config.space
    if not config.pipeline.models or space.params or space.constraints:
        return config.study_name, {}
    return f"{config.study_name}-conservative", {"RETRAIN_SPACE_PRESET": "conservative"}


def _start(command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Its output goes where everything but results goes; an interrupt is the child's to handle."""
    environment = {**os.environ, **variables}
    with subprocess.Popen(list(command), env=environment, stdout=2) as process:  # noqa: S603 - our own program
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


# ---- in words


def watched_text(watched: Watched, output: str = "table") -> str:
    """Return what came of it, without a final newline."""
    reading = watched.reading
    document = {
        "metric": reading.name,
        "value": reading.value,
        "min": watched.low,
        "max": watched.high,
        "met": watched.is_met,
        "known_since": watched.known_since,
        "study": watched.study or None,
        "command": list(watched.command) or None,
        "exit_code": watched.code,
    }
    if output == "json":
        return to_json(document)
    if output in ("csv", "markdown"):
        shown = {key: value for key, value in document.items() if key != "command"}
        return render([shown], list(shown), output)
    said = f"{reading.name} is {number(reading.value)}"
    if watched.is_met:
        return f"{said}, {_bounds(watched.low, watched.high, met=True)}: nothing to do"
    said += f", {_bounds(watched.low, watched.high)}"
    if watched.known_since is not None:
        return f"{said}: this entry has started a tuning before; another one: --force"
    if watched.code:
        return f"{said}: the tuning ended with exit code {watched.code}"
    return f"{said}: tuned; what was found: orchestrator --summary --study {watched.study}"


def _bounds(low: float | None, high: float | None, *, met: bool = False) -> str:
    sides = [("at least" if met else "not at least", low), ("at most" if met else "not at most", high)]
    joined = " and " if met else " or "
    return joined.join(f"{side} {number(bound)}" for side, bound in sides if bound is not None)
