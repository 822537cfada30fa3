"""`--override-gate NAME --reason TEXT`: a person lets something through, and the ledger keeps who and why."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from retrain.config import Config
from retrain.config.gate import STANDING
from retrain.deploy.gate.verdict import Verdict
from tuner.errors import UsageError, did_you_mean

__all__ = ["NO_OVERRIDES", "Overrides"]


@dataclass(frozen=True, slots=True)
class Overrides:
    """Names of gates that a person overrides, and why; made by `of`, which checks them."""

    names: tuple[str, ...] = ()
    reason: str = ""

    @staticmethod
    def of(config: Config, names: Sequence[str], reason: str) -> "Overrides":
        """Check names and reason, before anything is scored.

        Raises:
            UsageError: there is no such gate (names the closest), or no reason.
        """
        known = [*(gate.name for gate in config.gate), *STANDING]
        for name in names:
            if name not in known:
                raise UsageError(
                    f"There is no gate {name!r} to override.{did_you_mean(name, known)}",
                    f"Gates of {config.source.name}, and those that always stand: {', '.join(known)}.",
                )
        if names and not reason.strip():
            raise UsageError(
                "An override needs a reason, which the ledger keeps, but none was given.",
                "Add: --reason TEXT",
            )
        return Overrides(tuple(dict.fromkeys(names)), " ".join(reason.split()))

    def applied(self, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
        """Mark the verdicts of the named gates; a gate that has none here was not needed to be overridden."""
        absent = [name for name in self.names if name not in [verdict.name for verdict in verdicts]]
        return (*map(self._marked, verdicts), *map(self._without_verdict, absent))

    def _marked(self, verdict: Verdict) -> Verdict:
        if verdict.name not in self.names:
            return verdict
        needed = "not needed" if verdict.passed else "needed"
        return replace(verdict, override=needed, reason=self.reason)

    def _without_verdict(self, name: str) -> Verdict:
        why = "it had nothing to judge here"
        return Verdict(
            "",
            name,
            None,
            None,
            None,
            None,
            None,
            True,
            why,
            name=name,
            override="not needed",
            reason=self.reason,
        )


NO_OVERRIDES = Overrides()
