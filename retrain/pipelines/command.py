"""Any program as a pipeline: it is given the parameters, and prints metrics as JSON, one object per line.

The last line that is a JSON object is the result. Lines with a `step` are reports on the way and never the
result. Everything else on stdout is the program's own affair. It finds its seed in RETRAIN_SEED.
"""

import hashlib
import os
import re
import shutil
import signal
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from retrain.comparable import given_besides
from retrain.config.pipeline import PARAMS_PLACEHOLDER
from retrain.metrics import METRICS
from retrain.pipeline import Pipeline, Report
from retrain.pipelines.process import run_program
from retrain.pipelines.sources import sources_digest
from retrain.results import ResultError, check_result
from tuner.errors import ConfigError, UsageError
from tuner.experiment import Direction, Evaluation, Outcome, Params, Provenance, Value
from tuner.strict_json import dumps, loads

if TYPE_CHECKING:
    from retrain.config import Config

__all__ = ["CommandPipeline"]

SEED_VARIABLE = "RETRAIN_SEED"
PARAMS_FILE = "params.json"
_NOT_FINITE = re.compile(r":\s*-?(nan|inf|infinity|[0-9.]+e\+?[0-9]{3,})\b", re.IGNORECASE)


class CommandPipeline(Pipeline):
    """Scores configurations by running a program in the configuration's folder. It has no model to fit."""

    def __init__(self, config: "Config") -> None:
        settings = config.pipeline
        self.name = config.name
        self.space = config.search_space()
        self.metric = settings.metric or "value"
        self.direction = Direction(settings.direction or METRICS[self.metric].direction)
        self._words = settings.words
        self._params_as = settings.params_as
        self._fixed = settings.fixed
        self._root = config.root
        self._steps = config.pruning.steps or ""
        self._code = ""

    def load(self) -> None:
        """Check that the program is there.

        Raises:
            ConfigError: it is not, or may not be executed.
        """
        program = self._words[0]
        found = self._root / program if "/" in program else Path(shutil.which(program) or "/nowhere")
        if _is_file(found) and os.access(found, os.X_OK):
            return
        if _is_file(found):
            raise ConfigError(
                f"The program {program!r} of pipeline.command may not be executed.", f"chmod +x {found}"
            )
        raise ConfigError(
            f"There is no program {program!r}, as pipeline.command names it.",
            f"Write ./{program} for the file in {self._root}."
            if _is_file(self._root / program)
            else f"Mend `command` under [pipeline]; it starts in {self._root}.",
        )

    @property
    def steps(self) -> str:
        """As the configuration says."""
        return self._steps

    def provenance(self) -> Provenance:
        """The code is the command with every file that it names, and what Python files import beside them."""
        if not self._code:
            self._code = _code_version(self._words, self._root)
        return Provenance(
            code=self._code + given_besides(self._fixed), metric=f"{self.metric}, {self.direction.value}"
        )

    def evaluate(self, params: Params, report: Report, seed: int) -> Evaluation:
        """Run the program once.

        Raises:
            ResultError: it ended with an error (last lines of stderr as details), or printed no result.
        """
        start = time.perf_counter()
        with TemporaryDirectory(prefix="retrain-") as folder:
            given = {**params, **self._fixed}
            reader = _OutputReader(report, self.metric)
            end = run_program(
                _arguments(self._words, self._params_as, given, Path(folder) / PARAMS_FILE),
                cwd=self._root,
                variables={SEED_VARIABLE: str(seed)},
                stdin=dumps(given).encode() if self._params_as == "json" else b"",
                on_line=reader.read,
                scratch=Path(folder),
            )
        if end.code != 0:
            raise ResultError(
                f"{_how_it_ended(self._words[0], end.code)}{_last_line(end.stderr)}",
                outcome=Outcome.ERROR,
                details=end.stderr,
            )
        evaluation = check_result(reader.result(end.stderr), self.metric)
        return replace(evaluation, duration_s=time.perf_counter() - start)


class _OutputReader:
    """Reads what a program prints, line by line."""

    def __init__(self, report: Report, metric: str) -> None:
        self._report = report
        self._metric = metric
        self._result: dict[str, Any] | None = None
        self._fault = ""
        self._steps = False
        self._last = ""

    def read(self, line: str) -> None:
        text = line.strip()
        self._last = text or self._last
        if not text.startswith("{"):
            return
        try:
            found = loads(text)
        except UsageError as error:
            if _NOT_FINITE.search(text):
                raise ResultError(
                    f"The program printed {_cut(text)}: {error}", outcome=Outcome.NON_FINITE
                ) from None
            self._fault = f"its last result, {_cut(text)}, is not JSON: {error}"
            return
        self._fault = ""
        if "step" in found:
            self._steps = True
            self._report(found.pop("step"), found)
        else:
            self._result = found

    def result(self, stderr: str) -> dict[str, Any]:
        """Return the result.

        Raises:
            ResultError: there is none, or the last one cannot be read.
        """
        if self._fault:
            raise ResultError(
                f"The program must print its metrics as JSON, but {self._fault}", details=stderr
            )
        if self._result is None:
            such = "without `step`" if self._steps else f'such as {{"{self._metric}": 0.93}}'
            last = f"The last line that it printed: {_cut(self._last)}" if self._last else ""
            raise ResultError(
                f"The program must print its metrics as a JSON object on a line of its own, {such}, "
                "but printed none.",
                details="\n".join(filter(None, [stderr, last])),
            )
        return self._result


def _arguments(words: Iterable[str], params_as: str, params: Params, path: Path) -> list[str]:
    """The command line, with the parameters where `{params}` stands, else at its end."""
    if params_as == "json":
        return list(words)
    if params_as == "file":
        path.write_text(dumps(dict(params)) + "\n", encoding="utf-8")
        given = [str(path)]
    else:
        given = [word for name, value in params.items() for word in (f"--{name}", _flag(value))]
    arguments: list[str] = []
    placed = False
    for word in words:
        if word == PARAMS_PLACEHOLDER:
            arguments += given
        elif params_as == "file":
            arguments.append(word.replace(PARAMS_PLACEHOLDER, str(path)))
        else:
            arguments.append(word)
        placed = placed or PARAMS_PLACEHOLDER in word
    return arguments if placed else [*arguments, *given]


def _flag(value: Value) -> str:
    return value if isinstance(value, str) else dumps(value)


def _how_it_ended(program: str, code: int) -> str:
    if code > 0:
        return f"{program} ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    memory = ", perhaps for lack of memory" if -code == signal.SIGKILL else ""
    return f"{program} was killed by {name}{memory}"


def _last_line(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.strip()]
    return f": {lines[-1].strip()}" if lines else ""


def _cut(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."


def _code_version(words: Iterable[str], root: Path) -> str:
    digest = hashlib.sha256()
    for word in words:
        digest.update(word.encode() + b"\0")
        path = root / word
        own = path.resolve().is_relative_to(root.resolve())
        if not path.is_file() or (not own and "/bin/" in str(path)):
            continue
        if path.suffix == ".py":
            digest.update(bytes.fromhex(sources_digest(path, root)))
        else:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{' '.join(words)} {digest.hexdigest()[:16]}"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # too long a name, or a folder that is closed to us
        return False
