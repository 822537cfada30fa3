"""What a driver says on its way: each thing once, when it first turns up."""

from collections import defaultdict
from collections.abc import Collection, Iterable

from orchestrator.plan import RunLimits, Snapshot, StopReason
from orchestrator.progress import Display, Status
from orchestrator.tally import Tally
from retrain.tables import seconds
from tuner.errors import ClaimLostError
from tuner.experiment import Experiment, Failure, Outcome, Study
from tuner.registry.base import Recovered

__all__ = ["Teller", "recovery_lines", "status_of"]

_N_CAUSES_TOLD = 10


class Teller:
    """Notes of one run.

    Args:
        display: where they go.
        limits: of the run.
    """

    def __init__(self, display: Display, limits: RunLimits) -> None:
        self._note = display.note
        self._limits = limits
        self._causes_told: set[tuple[Outcome, str]] = set()
        self._told_elsewhere = self._told_of_stop = self._told_lacking = False

    def stopping(self, snapshot: Snapshot) -> None:
        """The user asked to stop, and something still runs."""
        if snapshot.stop_at is None or snapshot.stop_now or not snapshot.running or self._told_of_stop:
            return
        self._told_of_stop = True
        n, grace = len(snapshot.running), seconds(self._limits.grace_s)
        self._note(
            f"finishing {n} running experiment{'s' if n > 1 else ''} (up to {grace}); Ctrl-C again stops now"
        )

    def stopped(self, reason: StopReason, snapshot: Snapshot) -> None:
        """It ends, and where time is left: why."""
        deadline = self._limits.deadline
        if reason is StopReason.TIMEOUT and deadline is not None and snapshot.now < deadline:
            left_s, each_s = deadline - snapshot.now, snapshot.typical_s or 0.0
            self._note(
                f"{seconds(left_s)} are left, and an experiment takes about {seconds(each_s)}: none is begun"
            )

    def elsewhere(self) -> None:
        """All that is left runs in another process."""
        if not self._told_elsewhere:
            self._told_elsewhere = True
            self._note("another orchestrator runs the last experiments of this run; waiting for it")

    def lacking(self, objectives: Collection[str]) -> None:
        """Reports came without these, so that a pruner had nothing to compare."""
        if objectives and not self._told_lacking:
            self._told_lacking = True
            missing = ", ".join(sorted(objectives))
            self._note(
                f"a report came without {missing}: nothing is stopped early by it, since experiments are "
                "compared by all objectives"
            )

    def slow(self, experiment: Experiment, after_s: float) -> None:
        """An experiment runs for very long, and has no limit."""
        self._note(
            f"{experiment.public_id} has been running for {seconds(after_s)}; "
            "only --experiment-timeout would end it"
        )

    def fenced(self, error: ClaimLostError) -> None:
        """A result came too late: another has taken the experiment over."""
        self._note(f"fenced: {error}")

    def failure(self, experiment: Experiment, failure: Failure) -> None:
        """Each cause is told once, when it first turns up: a thousand failures are one line."""
        cause = (failure.outcome, failure.message)
        if cause in self._causes_told or len(self._causes_told) >= _N_CAUSES_TOLD:
            return
        self._causes_told.add(cause)
        again = "" if experiment.state.finished else "; it is tried again"
        self._note(f"{experiment.public_id} failed ({failure.outcome}): {failure.message}{again}")


def status_of(
    study: Study, tally: Tally, *, n_running: int, n_left: int, elapsed_s: float, working_s: float
) -> Status:
    """How far a run is.

    Args:
        study: whose metric is shown.
        tally: what has finished.
        n_running: experiments that a worker is busy with.
        n_left: all that are not finished, those included.
        elapsed_s: of the run.
        working_s: since its first claim.
    """
    n_done = tally.n_complete + tally.n_pruned + tally.n_failed
    best, baseline = tally.best, tally.baseline
    return Status(
        n_done=n_done,
        n_total=n_done + n_left,
        n_failed=tally.n_failed,
        n_pruned=tally.n_pruned,
        n_running=n_running,
        elapsed_s=elapsed_s,
        working_s=working_s,
        metric=study.metric,
        best=best.value if best else None,
        baseline=baseline.value if baseline else None,
        best_error=best.std_error if best else None,
        baseline_error=baseline.std_error if baseline else None,
    )


def recovery_lines(recovered: Iterable[Recovered]) -> list[str]:
    """Say what was taken back, one line per dead orchestrator."""
    by_owner: dict[str, list[Recovered]] = defaultdict(list)
    for each in recovered:
        by_owner[each.owner].append(each)
    return [
        f"recovered {len(left)} experiment{'s' if len(left) > 1 else ''} left by orchestrator {owner[:4]} "
        f"(dead {seconds(max(each.dead_s for each in left))})"
        for owner, left in by_owner.items()
    ]
