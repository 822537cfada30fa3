"""What a registry is made to do while it dies, and what it stood in the middle of."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.contracts.registry_cases import ON, SPEC, START, some
from tests.tuner.registry.golden.make import FOLDER
from tests.tuner.registry.reading import database_of
from tuner.experiment import Confirmation, Evaluation, Failure, Measurement, Outcome, Provenance, Study
from tuner.registry import Claim, HoldoutRead, Lesson, Registry, Run, StudySpec, open_registry
from tuner.registry.backup import backup
from tuner.registry.schema import SCHEMA_VERSION

__all__ = ["OPERATIONS", "RESULT", "Operation", "open_in", "prepare"]

RESULT = Evaluation(0.5, 0.1, {"f1": 0.5}, (Measurement(0, "auc", 0.5), Measurement(1, "auc", 0.6)))
ERROR = Failure(Outcome.ERROR, "ValueError", "Traceback", RESULT.measurements)
DEATH = Failure(Outcome.WORKER_LOST, "worker died (SIGSEGV)")

Act = Callable[[Registry, Study, list[Claim]], object]


@dataclass(frozen=True)
class Operation:
    """One thing that a registry does.

    Attributes:
        act: does it. None: opening the registry is what is done.
        n_held: so many claims are held before; with -1, the owner is not yet known to the database.
        on: where it starts: "lived in", "nothing" (no file), or "older" (of the schema before).
        must: there must be points of these kinds, as a proof that they are around everything.
        n_commits: how many transactions it is.
        leaves: what stands beside the database in the end.
    """

    act: Act | None
    n_held: int = 0
    on: str = "lived in"
    must: tuple[str, ...] = ("BEGIN IMMEDIATE", "COMMIT")
    n_commits: int = 1
    leaves: tuple[str, ...] = ()

    def start(self, folder: Path) -> Callable[[], object]:
        """Come to where it matters. Returns what is to die."""
        if self.act is None:
            return lambda: open_in(folder)
        act, registry = self.act, open_in(folder)
        study = registry.open_study(SPEC)
        if self.n_held >= 0:
            registry.heartbeat()
        claims = registry.claim(study, self.n_held) if self.n_held > 0 else []
        return lambda: act(registry, study, claims)


def open_in(folder: Path) -> Registry:
    """An hour after golden databases were made, when every lease of theirs is over."""
    return open_registry(folder / "experiments.db", create=True, clock=lambda: START + 3600)


def prepare(kind: str, folder: Path) -> None:
    """Write what an operation starts from."""
    path = folder / "experiments.db"
    if kind == "lived in":
        _live_in(folder)
    elif kind == "older":
        path.write_bytes(gzip.decompress((FOLDER / f"v{SCHEMA_VERSION - 1}.db.gz").read_bytes()))


def _live_in(folder: Path) -> None:
    """One of everything that an operation can act on, and two experiments of an owner that dies with us."""
    dead = open_in(folder)
    with open_in(folder) as registry:
        study = registry.open_study(SPEC)
        registry.add(study, some(8))
        [done] = registry.claim(study)
        registry.complete(done, RESULT, ON)
        active = registry.stage_version("credit", {"depth": 1}, manifest={})
        registry.activate(active, action="apply", who="ann", reason="")
        registry.stage_version("credit", {"depth": 2}, manifest={})
        dead.start_run(study, method="grid", n_wanted=8, seed=0, info={})
        for claim in dead.claim(study, 2):
            dead.measure(claim, RESULT.measurements)


def _activate(registry: Registry, *_: object) -> object:
    active, staged = registry.versions("credit")
    return registry.activate(staged, action="apply", who="", reason="", expect_active=active.number)


def _confirm(registry: Registry, study: Study, _: list[Claim]) -> object:
    """On what nothing was scored yet, so that a provenance is written with it."""
    [best] = registry.best(study)
    return registry.add_confirmation(Confirmation(best.public_id, 1, 0.5, (0.25, 0.75), Provenance("new")))


def _forget(registry: Registry, study: Study, _: list[Claim]) -> object:
    pattern = registry.add_pattern(registry.best(study)[0].public_id, {})
    return registry.add_lesson(Lesson(pattern.id, "forgotten", why="by ann"))


def _start_run(registry: Registry, study: Study, method: str) -> Run:
    return registry.start_run(study, method=method, n_wanted=8, seed=0, info={})


def _backup(registry: Registry, *_: object) -> object:
    return backup(registry, database_of(registry).path.with_name("copy.db"))


OPERATIONS: dict[str, Operation] = {
    "create": Operation(None, on="nothing", must=("BEGIN IMMEDIATE", "COMMIT", "replace")),
    "migrate": Operation(
        None,
        on="older",
        must=("VACUUM INTO", "replace", "BEGIN IMMEDIATE", "COMMIT"),
        leaves=(f"experiments.db.schema{SCHEMA_VERSION - 1}.backup",),
    ),
    "open study": Operation(lambda r, _, __: r.open_study(StudySpec("b", {}, "m", SPEC.direction, {}))),
    "start run": Operation(lambda r, study, _: _start_run(r, study, "random")),
    "take run over": Operation(lambda r, study, _: _start_run(r, study, "grid")),
    "end run": Operation(lambda r, study, _: r.end_run(_start_run(r, study, "grid")), n_commits=2),
    "add": Operation(lambda r, study, _: r.add(study, some(5, first=6))),
    "first claim": Operation(
        lambda r, study, _: r.claim(study, 2), -1, must=("mkdir", "flock", "COMMIT"), n_commits=2
    ),
    "claim": Operation(lambda r, study, _: r.claim(study, 2)),
    "measure": Operation(lambda r, _, held: r.measure(held[0], RESULT.measurements), 1),
    "complete": Operation(lambda r, _, held: r.complete(held[0], RESULT, ON), 1),
    "fail": Operation(lambda r, _, held: r.fail(held[0], ERROR), 1),
    "finish": Operation(
        lambda r, _, held: r.finish(list(zip(held, (RESULT, ERROR, DEATH, RESULT), strict=False)), ON), 4
    ),
    "release": Operation(lambda r, _, held: r.release(held), 3),
    "cancel": Operation(lambda r, study, _: r.cancel(r.experiments(study), "by ann")),
    "recover": Operation(lambda r, _, __: r.recover(), must=("BEGIN IMMEDIATE", "COMMIT", "unlink")),
    "heartbeat": Operation(lambda r, _, __: r.heartbeat()),
    "stage": Operation(lambda r, _, __: r.stage_version("credit", {}, manifest={})),
    "activate": Operation(_activate),
    "discard": Operation(lambda r, _, __: r.discard_version(r.versions("credit")[-1])),
    "confirm": Operation(_confirm),
    "read the holdout": Operation(
        lambda r, _, __: r.add_holdout_read(HoldoutRead("credit", {}, {"test_auc": 0.5}, ON, "retrain", ""))
    ),
    "remember": Operation(lambda r, study, _: r.add_pattern(r.best(study)[0].public_id, {})),
    "forget": Operation(_forget, n_commits=2),
    "log": Operation(lambda r, _, __: r.log("note", "x")),
    "backup": Operation(_backup, must=("VACUUM INTO", "fsync", "replace"), n_commits=0, leaves=("copy.db",)),
    "close": Operation(lambda r, _, __: r.close(), 2, must=("unlink", "rmdir"), n_commits=0),
}
