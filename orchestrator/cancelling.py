"""`cancel`: end experiments that wait, before anybody runs them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from retrain.config import Config
from retrain.improvement import get_study
from retrain.tables import render, to_json
from retrain.who import who
from tuner.errors import NotFoundError
from tuner.experiment import Experiment, State
from tuner.registry import open_registry
from tuner.registry.base import Registry

__all__ = ["Cancelled", "cancel_waiting", "cancelled_text"]


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What became of those that were named: `cancelled`, or `left` as they are.

    Attributes:
        declined: the user was asked, and said no.
    """

    cancelled: tuple[Experiment, ...]
    left: tuple[Experiment, ...]
    declined: bool = False


def cancel_waiting(
    config: Config,
    ids: Sequence[str],
    *,
    reason: str | None = None,
    confirm: Callable[[str], bool] | None = None,
) -> Cancelled:
    """Cancel these experiments, or all that wait in the configured study; what runs is left alone.

    Args:
        config: names registry and study.
        ids: public ids or the unique start of one; none for the whole study.
        reason: why, for the log.
        confirm: asked with a sentence that says how many, before anything changes.

    Raises:
        NotFoundError: no such experiment, or none of them waits.
    """
    with open_registry(config.db, create=False, allow_network_fs=config.allow_network_fs) as registry:
        waiting, left = _apart(_named(registry, ids) if ids else _open(registry, config))
        if not waiting:
            raise NotFoundError(_none_waits(config, ids, left), "orchestrator ls")
        if confirm is not None and not confirm(f"Cancel {_count(len(waiting))} that will then never run?"):
            return Cancelled((), (*waiting, *left), declined=True)
        message = f"cancelled by {who()}" + (f": {reason}" if reason else "")
        cancelled = registry.cancel(waiting, message)
        if len(cancelled) < len(waiting):  # claimed since we looked
            gone = {each.id for each in cancelled}
            left += [registry.get_experiment(each.public_id) for each in waiting if each.id not in gone]
    return Cancelled(tuple(cancelled), tuple(left))


def cancelled_text(done: Cancelled, output: str = "table") -> str:
    """Return what was cancelled and what was left, as text without a final newline."""
    rows = [{"id": each.public_id, "state": "cancelled"} for each in done.cancelled]
    rows += [{"id": each.public_id, "state": each.state.value} for each in done.left]
    match output:
        case "json":
            return to_json(
                {
                    "cancelled": [each.public_id for each in done.cancelled],
                    "left": {each.public_id: each.state.value for each in done.left},
                }
            )
        case "csv" | "markdown":
            return render(rows, ["id", "state"], output)
    lines = ["nothing was cancelled" if done.declined else f"{_count(len(done.cancelled))} cancelled"]
    lines += [
        f"left as {'it is' if n == 1 else 'they are'}: {_count(n, state)}"
        + ("; Ctrl-C ends an orchestrator and what it runs" if state is State.RUNNING else "")
        for state, n in Counter(each.state for each in done.left).items()
        if state is not State.WAITING
    ]
    return "\n".join(lines)


def _named(registry: Registry, ids: Sequence[str]) -> list[Experiment]:
    return list({each.id: each for each in map(registry.get_experiment, ids)}.values())


def _open(registry: Registry, config: Config) -> list[Experiment]:
    return registry.experiments(get_study(registry, config.study_name), states=[State.WAITING, State.RUNNING])


def _apart(found: Sequence[Experiment]) -> tuple[list[Experiment], list[Experiment]]:
    waiting = [each for each in found if each.state is State.WAITING]
    return waiting, [each for each in found if each.state is not State.WAITING]


def _none_waits(config: Config, ids: Sequence[str], left: Sequence[Experiment]) -> str:
    if ids:
        are = ", ".join(f"{each.public_id} is {each.state.value}" for each in left)
        return f"Only what waits can be cancelled, but {are}."
    running = f"; {_count(len(left), State.RUNNING)} and left alone" if left else ""
    return f"Nothing waits in study {config.study_name!r}{running}."


def _count(n: int, state: State = State.WAITING) -> str:
    return f"{n} {state.value} experiment{'' if n == 1 else 's'}"
