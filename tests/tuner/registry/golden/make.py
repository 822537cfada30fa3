"""Writes the golden database of the present schema version, and what is in it: do so once per version.

python -m tests.tuner.registry.golden.make

`v<N>.db.gz` is a registry as version N leaves it behind: every table, and every kind of row. `v<N>.json` says
what it read out of it. Neither is ever made again: they stand for the files that people have.
"""

import gzip
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from tests.contracts.registry_cases import ON, SPEC, START, some
from tests.tuner.registry.golden.reading import read_all
from tuner.experiment import (
    Confirmation,
    Direction,
    Evaluation,
    Failure,
    Measurement,
    Outcome,
    Partial,
    Provenance,
    Suggestion,
)
from tuner.goals import Goals, Limit, Objective
from tuner.registry import HoldoutRead, Lesson, Registry, StudySpec, open_registry, owners
from tuner.registry.schema import SCHEMA_VERSION

__all__ = ["FOLDER", "make"]

FOLDER = Path(__file__).resolve().parent

OTHER = StudySpec(
    "films",
    {},
    "rmse",
    Direction.MINIMIZE,
    {"genre": "drama"},
    seed=2**53 - 1,
    goals=Goals((Objective("ms", Direction.MINIMIZE),), (Limit("ms", min=0.5, max=5.0),)),
)
ODD = [
    Suggestion({"rate": 0.1 + 0.2, "n": 2**70, "flag": True, "none": None, "text": 'é "q"\n'}, "grid"),
    Suggestion({"rate": 1.0, "n": 1, "flag": False, "none": None, "text": ""}, "grid", {"design": "initial"}),
]
STEPS = (Measurement(0, "auc", 0.5), Measurement(1, "auc", 0.625), Measurement(0, "f1", 1e-300))


def make(path: Path) -> None:
    """Write a registry at `path` with one of everything."""
    ticks = _ticks()
    first, second = (
        open_registry(path, create=True, clock=lambda: next(ticks)),
        open_registry(path, create=True, clock=lambda: next(ticks)),
    )
    best = _experiments(first, second)
    _deployments(first, best)
    _confirmations(first, best)
    _lessons(first, best)
    first.log("note", "all is well", salience=0.0)
    first.log("deployed", "v2 is worse on the holdout", salience=1.0, before=0.9, after=0.8)
    first.close()
    second.close()  # its claims are now those of a dead owner


def _experiments(first: Registry, second: Registry) -> int:
    """Returns the id of the best."""
    study = first.open_study(SPEC)
    run = first.start_run(study, method="random", n_wanted=12, seed=7, info={"argv": ["--method", "random"]})
    ended = first.start_run(study, method="grid", n_wanted=0, seed=7, info={})
    first.end_run(ended)
    first.add(study, [Suggestion(SPEC.baseline, "default")], run=run)
    written = first.add(study, some(12, first=1), run=run)
    first.add(study, [Suggestion({"depth": 99}, "hill", {"from": "best"}, written[0].public_id)], run=run)
    first.add(study, some(1, first=1), run=run, repeat=True)

    retried, best, older, pruned, failed, poison, released, held = first.claim(study, 8)
    first.fail(retried, Failure(Outcome.ERROR, "ValueError: once", "Traceback ..."))
    first.complete(older, Evaluation(0.5, None, {}, ()), Provenance("d0", "c1", "m1"))
    first.complete(best, Evaluation(0.875, 0.0625, {"f1": 0.75, "fit_seconds": 3.5}, STEPS, 12.5), ON)
    first.measure(pruned, STEPS[:2])
    first.finish([(pruned, Partial(0.625, 1, {"f1": 1e-300}, STEPS, 0.5))], ON)
    first.fail(failed, Failure(Outcome.CANCELLED, "by ann", duration_s=0.5))
    first.fail(poison, Failure(Outcome.WORKER_LOST, "worker died (SIGSEGV)"))
    first.release([released])
    for _ in range(3):  # in turn: what was tried again waits at its old place
        [again] = first.claim(study)
        if again.experiment.id == retried.experiment.id:
            first.complete(again, Evaluation(0.25), ON)
        elif again.experiment.id == poison.experiment.id:
            first.fail(again, Failure(Outcome.OUT_OF_MEMORY, "worker died (SIGKILL), out of memory"))
            [again] = first.claim(study)
            first.finish([(again, Failure(Outcome.WORKER_LOST, "worker died (SIGSEGV)"))], ON)
        else:
            first.measure(again, STEPS)  # runs on, like `held`
    second.heartbeat()
    for claim in second.claim(study, 2):
        second.measure(claim, STEPS[:1])

    other = second.open_study(OTHER)
    second.add(other, ODD)
    [timed_out] = second.claim(other)
    second.fail(timed_out, Failure(Outcome.TIMEOUT, "longer than 2 s", duration_s=2.0))
    [timed_out] = second.claim(other)
    second.fail(timed_out, Failure(Outcome.NON_FINITE, "NaN", "", (Measurement(3, "rmse", 4.5),)))
    [slow] = second.claim(other)
    second.complete(slow, Evaluation(0.25, metrics={"ms": 7.5}), ON)
    assert held.owner == first.owner
    return best.experiment.id


def _deployments(registry: Registry, experiment: int) -> None:
    """Found, applied, rolled back; and one that an apply left staged."""
    public_id = next(one.public_id for one in registry.experiments() if one.id == experiment)
    found = registry.stage_version("credit", {"depth": 3, "rate": 0.1}, manifest={})
    registry.activate(found, action="found", who="ann@host", reason="in place before the first apply")
    applied = registry.stage_version(
        "credit", {"depth": 1}, manifest={"files": {"model.ubj": "0" * 64}}, experiment=public_id
    )
    registry.activate(
        applied,
        action="apply",
        who="ann@host",
        reason="best",
        manifest={"files": {"model.ubj": "1" * 64}, "metrics": {"auc": 0.875}},
        gates=[{"metric": "auc", "min": 0.8, "met": True}],
        expect_active=found.number,
    )
    registry.activate(found, action="rollback", who="bob@host", reason="", expect_active=applied.number)
    registry.stage_version("credit", {"depth": 2}, manifest={})
    gone = registry.stage_version("films", {}, manifest={})
    registry.discard_version(gone)
    registry.activate(
        registry.stage_version("films", {"genre": "drama"}, manifest={}), action="retrain", who="", reason=""
    )


def _confirmations(registry: Registry, experiment: int) -> None:
    """With folds and without, on what the search scored and on newer data; two looks at the holdout."""
    public_id = next(one.public_id for one in registry.experiments() if one.id == experiment)
    registry.add_confirmation(Confirmation(public_id, 2**53 - 1, 0.8125, (0.75, 0.875), ON, 2.5))
    registry.add_confirmation(Confirmation(public_id, 1, 0.625, (), ON))
    registry.add_confirmation(Confirmation(public_id, 1, 0.5, (0.5,), Provenance("d9", "c1", "m1")))
    registry.add_holdout_read(
        HoldoutRead(
            "credit",
            {"depth": 1},
            {"test_auc": 0.75},
            ON,
            "orchestrator confirm",
            "ann@host",
            experiment=public_id,
            n_rows=114,
            intervals={"test_auc": (0.625, 0.875)},
        )
    )
    registry.add_holdout_read(HoldoutRead("credit", {}, {}, Provenance(), "retrain", "", version=1))


def _lessons(registry: Registry, experiment: int) -> None:
    """A pattern that another study used, found to help, and that was forgotten."""
    public_id = next(one.public_id for one in registry.experiments() if one.id == experiment)
    traits = {"model": "xgboost", "kind": "classification", "features": {"n_rows": 569.0}}
    pattern = registry.add_pattern(public_id, traits)
    registry.add_lesson(Lesson(pattern.id, "used", "films", 0.875, "similar"))
    registry.add_lesson(Lesson(pattern.id, "judged", "films", 1.0))
    registry.add_lesson(Lesson(pattern.id, "forgotten", why="the sensors were replaced"))


def _ticks() -> Iterator[float]:
    """A clock that moves by a quarter of a second whenever it is read."""
    now = START
    while True:
        yield now
        now += 0.25


def main() -> None:
    golden = FOLDER / f"v{SCHEMA_VERSION}.db.gz"
    if golden.exists():
        raise SystemExit(f"{golden} exists: a golden database is made once.")
    machine = owners.Machine("host", "1f0e8d3c-0000-4000-8000-000000000001")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "experiments.db"
        with mock.patch.object(owners.Machine, "here", staticmethod(lambda: machine)):
            make(path)
        golden.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        text = json.dumps(read_all(path), indent=1, sort_keys=True, ensure_ascii=False)
        golden.with_name(f"v{SCHEMA_VERSION}.json").write_text(text + "\n")
    print(f"{golden.name}: {golden.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
