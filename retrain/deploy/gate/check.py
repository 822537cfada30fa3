"""A gate of the user's own: a Python function that sees the figures of both."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrain.config import GateConfig
from retrain.deploy.gate.figures import Figures
from retrain.deploy.gate.verdict import Verdict
from retrain.pipelines.python import Reference
from retrain.pipelines.user_code import stdout_to_stderr
from retrain.results import failure_of
from tuner.errors import ConfigError
from tuner.experiment import Direction, Params

__all__ = ["Check", "Comparison", "checked", "load_checks"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a check of the user's own is given.

    It returns True where the challenger may be deployed; False, or the reason as text, where not. Anything
    else, and whatever it raises, is a refusal, too.

    Attributes:
        metric: the study's metric.
        direction: "maximize" or "minimize".
        challenger: figures of what would be deployed: `value`, `std_error`, `folds`, and `metrics` by name,
            the holdout's `test_*` among them.
        champion: the same of what is deployed, on the same data and folds; None where it could not be scored.
        no_champion: why not.
        params, deployed: the hyperparameters of both.
    """

    metric: str
    direction: Direction
    challenger: Figures
    champion: Figures | None
    no_champion: str
    params: Params
    deployed: Params


Check = Callable[[Comparison], object]


def load_checks(gates: Sequence[GateConfig], root: Path) -> dict[str, Check]:
    """Import the checks that entries name: {name of the gate: function}.

    Raises:
        ConfigError: there is no such module or function, or importing it failed.
    """
    found: dict[str, Check] = {}
    for gate in gates:
        if gate.check is None:
            continue
        function = Reference.parse(gate.check, root, "gate.check").load()
        if not callable(function):
            raise ConfigError(
                f"gate.check must name a function, but {gate.check} is a {type(function).__name__}.",
                "The smallest check: def check(comparison): return True",
            )
        found[gate.name] = function
    return found


def checked(gate: GateConfig, checks: Mapping[str, Check], comparison: Comparison) -> Verdict:
    """Call the user's function, and take nothing but a clear yes for one."""
    subject = gate.check or ""

    def verdict(passed: bool, why: str) -> Verdict:
        return Verdict(subject, "check", None, None, None, None, None, passed, why, name=gate.name)

    if gate.name not in checks:
        return verdict(False, f"{subject} cannot be asked: it was not loaded")
    try:
        with stdout_to_stderr():
            # What a check changes in the figures that it is given must not reach the version's manifest.
            answer = _plain(checks[gate.name](deepcopy(comparison)))
        if answer is True:
            return verdict(True, f"{subject} says yes")
        if answer is False:
            return verdict(False, f"{subject} says no")
        if isinstance(answer, str):
            return verdict(False, f"{subject} says: {' '.join(answer.split()) or '(an empty text)'}")
        return verdict(False, f"{subject} returned {_shown(answer)}, and not True, False or a reason")
    except SystemExit as error:
        return verdict(False, f"{subject} called sys.exit({error.code!r}), which is no answer")
    except Exception as error:  # noqa: BLE001 - user code may raise anything
        return verdict(False, f"{subject} failed: {failure_of(error).message}")


def _plain(answer: Any) -> Any:
    """A numpy boolean counts as the boolean that it is."""
    return answer.item() if getattr(answer, "shape", None) == () and hasattr(answer, "item") else answer


def _shown(answer: object) -> str:
    text = repr(answer)
    return text if len(text) <= 60 else f"{text[:57]}..."
