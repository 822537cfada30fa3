"""Studies and runs. Functions of an open connection; the caller holds the transaction."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update

from tuner.errors import MismatchError
from tuner.experiment import Study
from tuner.registry import codec
from tuner.registry.base import Run, StudySpec
from tuner.registry.lookups import find_study, get_run
from tuner.registry.owners import Owner, read_owners
from tuner.registry.schema import owners, runs, studies
from tuner.registry.sql import reading

__all__ = ["check_same", "end_run", "open_study", "start_run"]


def open_study(connection: Connection, spec: StudySpec, now: float) -> Study:
    """See `Registry.open_study`."""
    stored = find_study(reading(connection), spec.name)
    if stored is not None:
        check_same(stored, spec)
        return stored
    connection.execute(
        insert(studies).values(
            name=spec.name,
            space=codec.dump(spec.space),
            metric=spec.metric,
            direction=spec.direction.value,
            baseline=codec.dump(codec.plain_params(spec.baseline)),
            seed=spec.seed,
            created_at=now,
            goals=codec.dump(spec.goals.to_dict()) if spec.goals else None,
        )
    )
    written = find_study(reading(connection), spec.name)
    assert written is not None
    return written


def check_same(stored: Study, spec: StudySpec) -> None:
    """Raise MismatchError unless the stored study is what `spec` defines."""
    differing = [
        f"{name} ({there!r} there, {here!r} here)"
        for name, there, here in (
            ("metric", stored.metric, spec.metric),
            ("direction", stored.direction.value, spec.direction.value),
        )
        if there != here
    ]
    if difference := _difference(stored.space, spec.space):
        differing.append(f"search space ({difference})")
    if difference := _difference(stored.goals.to_dict(), spec.goals.to_dict()):
        differing.append(f"set of goals ({difference})")
    if differing:
        raise MismatchError(
            f"A study keeps its definition, but {spec.name!r} is stored with another "
            + ", ".join(differing)
            + ".",
            "Start another study with --study NAME, or go back to the stored definition.",
        )


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Name what differs between two space documents, in the order of the first; "" when nothing does."""
    found: list[str] = []
    _compare(there, here, "", found)
    return "; ".join(found[:5]) + ("; ..." if len(found) > 5 else "")


def _compare(there: Any, here: Any, path: str, found: list[str]) -> None:
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for key in dict.fromkeys([*there, *here]):
            inner = f"{path}.{key}" if path else str(key)
            if key not in here:
                found.append(f"{inner} only there")
            elif key not in there:
                found.append(f"{inner} only here")
            else:
                _compare(there[key], here[key], inner, found)
    elif codec.dump(there) != codec.dump(here):
        theirs, ours = _by_name(there), _by_name(here)
        named: list[str] = []
        if theirs and ours:
            _compare(theirs, ours, path, named)
            named = named or [f"{path} in another order"]
        found += named or [f"{path} {codec.dump(there)} there, {codec.dump(here)} here"]


def _by_name(given: Any) -> dict[str, Any]:
    """A list of parameters by their names; empty for anything else."""
    if not isinstance(given, list) or not all(isinstance(each, Mapping) and "name" in each for each in given):
        return {}
    return {each["name"]: each for each in given}


def start_run(
    connection: Connection,
    study: Study,
    *,
    method: str | None,
    n_wanted: int,
    seed: int,
    info: Mapping[str, Any],
    owner_id: int,
    now: float,
    is_dead: Callable[[Owner], bool],
) -> Run:
    """See `Registry.start_run`."""
    open_runs = connection.execute(
        select(runs.c.id, runs.c.owner_id)
        .where(
            runs.c.study_id == study.id,
            runs.c.method.is_not_distinct_from(method),
            runs.c.n_wanted == n_wanted,
            runs.c.seed == seed,
            runs.c.ended_at.is_(None),
        )
        .order_by(runs.c.id)
    ).all()
    their_owners = read_owners(connection, owners.c.id.in_({run.owner_id for run in open_runs}))
    dead = {owner.id for owner in their_owners if is_dead(owner)}
    left = next((run.id for run in open_runs if run.owner_id in dead), None)
    if left is not None:
        connection.execute(update(runs).where(runs.c.id == left).values(owner_id=owner_id))
        run_id = left
    else:
        run_id = connection.execute(
            insert(runs)
            .values(
                study_id=study.id,
                method=method,
                n_wanted=n_wanted,
                seed=seed,
                owner_id=owner_id,
                started_at=now,
                info=codec.dump(info),
            )
            .returning(runs.c.id)
        ).scalar_one()
    return get_run(reading(connection), run_id)


def end_run(connection: Connection, run: Run, now: float) -> None:
    """See `Registry.end_run`."""
    connection.execute(
        update(runs).where(runs.c.id == run.id, runs.c.ended_at.is_(None)).values(ended_at=now)
    )
