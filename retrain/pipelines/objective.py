"""A Python function as a pipeline: `objective(params) -> float | dict`, with `report`, `seed` or both."""

import hashlib
import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import CodeType
from typing import Any

from retrain.comparable import given_besides
from retrain.pipeline import Pipeline, Report
from retrain.pipelines.sources import sources_digest
from retrain.pipelines.user_code import stdout_to_stderr, strict_report
from retrain.results import check_result
from tuner.experiment import Direction, Evaluation, Params, Provenance, Value
from tuner.space import SearchSpace

__all__ = ["ObjectivePipeline", "code_version", "takes_report", "takes_seed"]

Objective = Callable[..., Any]


class ObjectivePipeline(Pipeline):
    """Scores configurations by calling a function. It has no model to fit.

    Args:
        objective: takes the parameters as a dict and, if it has a second argument,
            `report(step, {metric: value})`; if it has an argument `seed`, an integer to draw its splits from
            by that name. Returns a number, or a dict of numbers that holds `metric`.
        space: where to search.
        metric: key of the value that is optimised.
        direction: whether a smaller or larger value is better.
        name: the function's own by default.
        fixed: parameters given to every call besides the searched ones.
        root: the project, whose files count as code where the function imports them; by default the folder
            of the file that defines it.
        contents: what counts as the content of some of these files, by path.
    """

    def __init__(
        self,
        objective: Objective,
        space: SearchSpace,
        metric: str = "value",
        direction: Direction | str = Direction.MINIMIZE,
        *,
        name: str | None = None,
        fixed: dict[str, Value] | None = None,
        root: Path | None = None,
        contents: Mapping[Path, bytes] | None = None,
    ) -> None:
        if not callable(objective):
            raise TypeError(f"`objective` must be callable, but got {type(objective).__name__}")
        self.objective = objective
        self.space = space
        self.metric = metric
        self.direction = Direction(direction)
        self.name = name or str(getattr(objective, "__name__", type(objective).__name__)).strip("<>")
        self.fixed = dict(fixed or {})
        self._code = code_version(objective, root, contents)
        self._reports = takes_report(objective)
        self._seeded = takes_seed(objective)

    def provenance(self) -> Provenance:
        """The code is the file that defines the function and what it imports; it has no data of its own."""
        return Provenance(
            code=self._code + given_besides(self.fixed), metric=f"{self.metric}, {self.direction.value}"
        )

    @property
    def splits_follow_seed(self) -> bool:
        """Whether the function takes a seed."""
        return self._seeded

    def evaluate(self, params: Params, report: Report, seed: int) -> Evaluation:
        """Call the function and check what it returns.

        Raises:
            ResultError: it is not the metric, or not a finite number.
        """
        arguments = [{**params, **self.fixed}, *([strict_report(report)] if self._reports else [])]
        named = {"seed": seed} if self._seeded else {}
        start = time.perf_counter()
        with stdout_to_stderr():
            raw = self.objective(*arguments, **named)
        duration_s = time.perf_counter() - start
        evaluation = check_result(raw, self.metric)
        if evaluation.duration_s is not None:
            return evaluation
        return replace(evaluation, duration_s=duration_s)


def takes_report(objective: Objective) -> bool:
    """Whether a function has a second positional argument, or one named `report`."""
    positional = [p for p in _arguments(objective) if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    needed = [p for p in positional[1:] if p.default is p.empty or p.name == "report"]
    return any(p.name != "seed" for p in needed)


def takes_seed(objective: Objective) -> bool:
    """Whether a function can be given `seed` by name; not where a `functools.partial` has given it one."""
    while hasattr(objective, "func"):
        if "seed" in getattr(objective, "keywords", {}):
            return False
        objective = objective.func
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return any(p.name == "seed" and p.kind in kinds for p in _arguments(objective)[1:])


def _arguments(objective: Objective) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(objective).parameters.values())
    except (TypeError, ValueError):  # some built-in functions have no signature
        return []


def code_version(code: Any, root: Path | None = None, contents: Mapping[Path, bytes] | None = None) -> str:
    """A short hash of the file that defines a function or class, and of what it imports from the project.

    Args:
        code: a function, a class or an instance; hashed by its own code where it has no file.
        root: folder of the project; by default that of the file.
        contents: what counts as the content of some files, by their resolved paths.
    """
    inner = inspect.unwrap(code) if callable(code) else code
    while hasattr(inner, "func"):  # functools.partial
        inner = inner.func
    subject = inner if inspect.isroutine(inner) or inspect.isclass(inner) else type(inner)
    try:
        path = inspect.getsourcefile(subject)
        if path and Path(path).is_file():
            digest = sources_digest(Path(path), root or Path(path).parent, contents)
        else:
            digest = hashlib.sha256(inspect.getsource(subject).encode()).hexdigest()
    except (OSError, TypeError):
        digest = hashlib.sha256(_compiled(getattr(subject, "__code__", None))).hexdigest()
    return f"{getattr(subject, '__qualname__', 'objective')} {digest[:16]}"


def _compiled(code: CodeType | None) -> bytes:
    """What a function without source does; empty for what was not written in Python."""
    if code is None:
        return b""
    parts = [
        _compiled(const) if isinstance(const, CodeType) else repr(const).encode() for const in code.co_consts
    ]
    return b"\0".join([code.co_code, repr(code.co_names).encode(), *parts])
