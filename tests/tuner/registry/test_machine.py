"""Any sequence of calls by any number of owners, some dead, some stopped, some with a clock that jumps.

A Hypothesis state machine on a real SQLite file. After each step the whole database is compared with a model
of plain dicts, and the invariants I1 to I13 are checked on the stored rows alone. Half a minute;
`--hypothesis-profile=long` takes twenty times as many examples.
"""

import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.contracts.registry_cases import SPEC, Clock
from tests.tuner.registry.machine_invariants import Invariants
from tests.tuner.registry.machine_model import FINISHED, Model
from tuner.errors import BusyError, ClaimLostError, MismatchError, NotFoundError, RetrainError, UsageError
from tuner.experiment import (
    Evaluation,
    Failure,
    Measurement,
    Outcome,
    Partial,
    Provenance,
    State,
    Suggestion,
)
from tuner.registry import Claim, ModelVersion, Registry, open_registry, owners
from tuner.registry.engine import connect, dbapi
from tuner.registry.owners import LEASE_S, Machine
from tuner.registry.sql_registry import SqlRegistry

T = TypeVar("T")

DAY_S = 86_400.0
PROVENANCES = (Provenance("d1", "c1", "m1"), Provenance("d2", "c1", "m1"))
PIPELINES = ("credit", "films")
HOSTS = ("here", "far")
FATES = ("open", "kill", "reopen", "pause", "resume", "reboot")
STOPPED = Partial(2.0, 3, measurements=(Measurement(3, "auc", 2.0),))
PICK = st.integers(0, 60)
NOT_FINITE = st.sampled_from([math.nan, math.inf, -math.inf, "0.9", True, 10**400, None])
VALUES = st.floats(-1, 1) | st.integers(-3, 3) | NOT_FINITE
JUMPS = st.sampled_from([DAY_S, -DAY_S, LEASE_S, 1.0])
TICK_S = 2**-10
STEPS = st.sampled_from([LEASE_S / 2, LEASE_S / 2 + TICK_S, LEASE_S / 2 - TICK_S])


def is_number(value: object) -> bool:
    """Whether a registry takes it for a value: not text, not bool, finite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


@dataclass
class Opening:
    """One opening of the registry: an owner, on a host as it was started last."""

    registry: SqlRegistry
    machine: Machine
    paused: bool = False


@cache
def blank(driver: str) -> bytes:
    """A new registry, as a file. Making one takes a while."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "blank.db"
        open_registry(path, create=True).close()
        return path.read_bytes()


class _Machine(RuleBasedStateMachine):
    """Several openings of one registry, on two pretended hosts, and the model of what is in it."""

    hidden: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.engine = mock.patch.dict(sys.modules, dict.fromkeys(self.hidden))
        self.engine.start()
        self.boot_s = 1000.0
        self.since_boot = mock.patch.object(owners, "boot_seconds", self.uptime)
        self.since_boot.start()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "experiments.db"
        self.path.write_bytes(blank(dbapi().__name__))
        self.clock = Clock()
        self.model = Model()
        self.boots = dict.fromkeys(HOSTS, 0)
        self.openings: list[Opening] = []
        self.claims: list[Claim] = []
        self.blocked_by: str | None = None
        self.reader = open_registry(self.path, create=False, clock=self.clock)
        self.study = self.reader.open_study(SPEC)
        self.raw = connect(self.path, "rw")
        self.blocker = connect(self.path, "rw")
        self.checks = Invariants(self.raw)

    def teardown(self) -> None:
        """The next start on each host leaves nothing but the database behind (I14)."""
        self.unblock()
        for one in self.openings:
            one.registry.close()
        for host in HOSTS:
            with self.at(self.machine(host)), self.open() as last:
                last.recover()
        self.raw.close()
        self.blocker.close()
        self.reader.close()
        left = [entry.name for entry in self.folder.iterdir()]
        shutil.rmtree(self.folder)
        self.since_boot.stop()
        self.engine.stop()
        assert left == ["experiments.db"]

    def uptime(self) -> float:
        return self.boot_s

    # ---- who acts, and where

    def machine(self, host: str) -> Machine:
        return Machine(host, f"{host} boot {self.boots[host]}")

    def open(self) -> SqlRegistry:
        opened = open_registry(self.path, create=False, clock=self.clock, busy_timeout_s=0)
        assert isinstance(opened, SqlRegistry)
        return opened

    @contextmanager
    def at(self, machine: Machine) -> Iterator[None]:
        with mock.patch.object(owners.Machine, "here", staticmethod(lambda: machine)):
            yield

    def acting(self) -> list[Opening]:
        return [one for one in self.openings if not one.paused]

    def actor(self, pick: int) -> Opening:
        """One that can act; where all are dead or stopped, a new one."""
        if not self.acting():
            self.open_one(HOSTS[pick % 2])
        return self.acting()[pick % len(self.acting())]

    def usable(self) -> list[Claim]:
        """Claims whose owner can act: for what is unfinished, stale ones too, else for what was finished."""
        tokens = {one.registry.owner for one in self.acting()}
        mine = [claim for claim in self.claims if claim.owner in tokens]
        states = {claim.experiment.id: self.model.experiments[claim.experiment.id]["state"] for claim in mine}
        return [claim for claim in mine if states[claim.experiment.id] not in FINISHED] or mine[-1:]

    def claim_and_owner(self, pick: int) -> tuple[Claim, Opening]:
        claim = self.usable()[-1 - pick % len(self.usable())]
        return claim, next(one for one in self.openings if one.registry.owner == claim.owner)

    def act(
        self,
        one: Opening,
        call: Callable[[Registry], T],
        refusal: type[RetrainError] | None = None,
        *,
        as_owner: bool = False,
    ) -> T | None:
        """What the call returns, or None where it was refused, as it had to be, or somebody is in the way."""
        told: type[RetrainError] | None = None
        result = None
        blocked_by = self.blocked_by
        try:
            with self.at(one.machine):
                result = call(one.registry)
        except BusyError:
            assert blocked_by, "busy, though nobody holds a lock"
            return None
        except (ClaimLostError, UsageError, NotFoundError) as error:
            told = type(error)
        finally:
            self.unblock()
        assert told or blocked_by != "writer", "written through a lock"
        assert told is refusal or (told and refusal and issubclass(told, refusal)), (told, refusal)
        if as_owner and one.registry.owner not in self.model.owners:
            self.model.owners[one.registry.owner] = {
                "machine": one.machine,
                "alive": True,
                "heartbeat_at": self.clock.now,
                "heard_s": self.boot_s,
                "steady_since": self.boot_s,
            }
        return result

    # ---- owners come and go

    @initialize()
    def three_owners(self) -> None:
        for host in ("here", "here", "far"):
            self.open_one(host)
        wanted: dict[str, Any] = {"method": "random", "n_wanted": 9, "seed": 0, "info": {}}
        started = self.act(self.openings[0], lambda r: [r.start_run(self.study, **wanted)], as_owner=True)
        self.run = started[0] if started else None

    def open_one(self, host: str) -> None:
        with self.at(self.machine(host)):
            self.openings.append(Opening(self.open(), self.machine(host)))

    def drop(self, one: Opening) -> None:
        """As SIGKILL does: no unlinking, no goodbye; the kernel closes what was open."""
        lock = one.registry._lifeline
        assert isinstance(lock, owners.OwnerLock)
        if lock._descriptor is not None:
            os.close(lock._descriptor)
            lock._descriptor = None
        one.registry.database.close()
        self.gone(one)

    def gone(self, one: Opening) -> None:
        self.openings.remove(one)
        if one.registry.owner in self.model.owners:
            self.model.owners[one.registry.owner]["alive"] = False

    @precondition(lambda self: not self.blocked_by)
    @rule(by=st.sampled_from(["reader", "writer"]))
    def block(self, by: str) -> None:
        """While the next call is made, somebody else reads in a long transaction, or holds the write lock."""
        self.blocker.execute("BEGIN IMMEDIATE" if by == "writer" else "BEGIN")
        self.blocker.execute("SELECT count(*) FROM experiments").fetchall()
        self.blocked_by = by

    def unblock(self) -> None:
        if self.blocked_by:
            self.blocker.execute("ROLLBACK")
            self.blocked_by = None

    @invariant()
    def everything_holds(self) -> None:
        self.checks.check(self.model, self.reader)


class ExperimentsMachine(_Machine):
    """Owners claim, end, die, stop and come back."""

    @rule(host=st.sampled_from(HOSTS), pick=PICK, fate=st.sampled_from(FATES))
    def befall(self, host: str, pick: int, fate: str) -> None:
        """Something happens to an owner, or to its whole host."""
        of_host = [one for one in self.openings if one.machine.host == host]
        if fate == "open" and len(self.openings) < 5:
            self.open_one(host)
        elif fate == "reboot":
            for one in of_host:
                self.drop(one)
            self.boots[host] += 1
        elif not of_host:
            self.open_one(host)
        elif fate == "resume":
            for one in of_host:
                one.paused = False
        else:
            self.befall_one(of_host[pick % len(of_host)], fate)

    def befall_one(self, one: Opening, fate: str) -> None:
        if fate == "kill":
            self.drop(one)
        elif fate == "pause":
            one.paused = True
        elif fate == "reopen":
            with self.at(one.machine):
                one.registry.close()
            self.gone(one)
            self.open_one(one.machine.host)

    @rule(seconds=JUMPS)
    def jump_clock(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(pick=PICK)
    def heartbeat(self, pick: int) -> None:
        one = self.actor(pick)
        self.beat(one)

    def beat(self, one: Opening) -> None:
        if self.act(one, lambda r: [r.heartbeat()], as_owner=True):
            self.model.beat(one.registry.owner, self.clock.now, self.boot_s)

    @rule(pick=PICK, who=st.sets(PICK, min_size=1, max_size=2), n=st.integers(2, 3), step=STEPS)
    def time_passes(self, pick: int, who: set[int], n: int, step: float) -> None:
        """Somebody claims; then some are heard all the time, and the others are not."""
        self.add(pick, [0], repeat=True, bad=False)
        self.claim(pick, 1)
        for _ in range(n):
            self.clock.now += step
            self.boot_s += step
            for each in sorted(who):
                self.beat(self.actor(each))
        self.take_back(self.actor(min(who)))

    # ---- experiments

    @rule(
        pick=PICK,
        numbers=st.lists(st.integers(0, 5), max_size=4),
        repeat=st.booleans(),
        bad=st.booleans(),
        method=st.sampled_from(["random", "guess"]),
    )
    def add(self, pick: int, numbers: list[int], repeat: bool, bad: bool, method: str = "random") -> None:
        given = [Suggestion({"depth": number}, method) for number in numbers]
        run = self.run if pick % 2 else None
        if bad and len(numbers) == 4:  # one wrong value, and none is written
            given.append(Suggestion({"depth": math.nan}, "random"))
            self.act(self.actor(pick), lambda r: r.add(self.study, given, repeat=repeat), UsageError)
            return
        added = self.act(self.actor(pick), lambda r: r.add(self.study, given, run=run, repeat=repeat))
        if added is not None:
            assert [one.id for one in added] == self.model.add(numbers, repeat, self.clock.now, method)

    @rule(pick=PICK, n=st.integers(0, 3))
    def claim(self, pick: int, n: int) -> None:
        one = self.actor(pick)
        claims = self.act(one, lambda r: r.claim(self.study, n), as_owner=True)
        if claims is not None:
            taken = self.model.claim(n, one.registry.owner, self.clock.now)
            assert [claim.experiment.id for claim in claims] == taken
            assert {claim.owner for claim in claims} <= {one.registry.owner}
            self.claims += claims

    @rule(pick=PICK, outcome=st.sampled_from(Outcome))
    def claim_and_fail(self, pick: int, outcome: Outcome) -> None:
        """At once, so that limits are reached; what it reported is not part of the next attempt."""
        n_claims = len(self.claims)
        self.claim(pick, 1)
        if len(self.claims) > n_claims:
            self.measure(0, pick % 3, 0.5)
            self.fail(0, outcome)

    @precondition(lambda self: self.usable())
    @rule(pick=PICK, step=st.integers(-1, 2), value=VALUES)
    def measure(self, pick: int, step: int, value: Any) -> None:
        claim, one = self.claim_and_owner(pick)
        given = [Measurement(0, "auc", 0.5), Measurement(step, "auc", value)]
        refusal = self.refusal(claim, step >= 0 and is_number(value))
        if self.act(one, lambda r: [r.measure(claim, given)], refusal):
            self.model.measure(claim, given)

    def refusal(self, claim: Claim, is_good: bool) -> type[RetrainError] | None:
        if not self.model.holds(claim):
            return ClaimLostError
        return None if is_good else UsageError

    @precondition(lambda self: self.usable())
    @rule(pick=PICK, value=VALUES, on=st.sampled_from(PROVENANCES), step=st.integers(0, 1))
    def complete(self, pick: int, value: Any, on: Provenance, step: int) -> None:
        claim, one = self.claim_and_owner(pick)
        evaluation = Evaluation(value, duration_s=0.5, measurements=(Measurement(step, "auc", 0.25),))
        refusal = self.refusal(claim, is_number(value))
        done = self.act(one, lambda r: r.complete(claim, evaluation, on), refusal)
        if done is not None:
            assert (done.state, done.value, type(done.value)) == (State.COMPLETE, value, float)
            self.model.complete(claim, evaluation, on, self.clock.now)

    @precondition(lambda self: self.usable())
    @rule(pick=PICK, outcome=st.sampled_from(Outcome))
    def fail(self, pick: int, outcome: Outcome) -> None:
        claim, one = self.claim_and_owner(pick)
        failure = Failure(outcome, f"it was {outcome}")
        done = self.act(one, lambda r: r.fail(claim, failure), self.refusal(claim, True))
        if done is not None:
            self.model.fail(claim, failure, self.clock.now)

    @precondition(lambda self: self.usable())
    @rule(
        pick=PICK, ends=st.lists(st.tuples(PICK, VALUES | st.sampled_from([*Outcome, STOPPED])), max_size=4)
    )
    def finish(self, pick: int, ends: list[tuple[int, Any]]) -> None:
        """Some of what its owner ever claimed, stale or twice, in one transaction; with a NaN none of it.

        A NaN of one that is lost is dropped like any result of it.
        """
        _, one = self.claim_and_owner(pick)
        mine = [claim for claim in self.claims if claim.owner == one.registry.owner]
        results: list[tuple[Claim, Evaluation | Failure | Partial]] = []
        refusal = None
        for which, end in ends:
            claim = mine[-1 - which % len(mine)]
            if isinstance(end, Outcome):
                results.append((claim, Failure(end, f"it was {end}")))
                continue
            if isinstance(end, Partial):
                results.append((claim, end))
                continue
            if not is_number(end) and self.model.holds(claim) and claim not in [held for held, _ in results]:
                refusal = UsageError
            results.append((claim, Evaluation(end)))
        done = self.act(one, lambda r: r.finish(results, PROVENANCES[0]), refusal)
        for (claim, result), ended in zip(results, done or [], strict=done is not None):
            assert isinstance(ended, ClaimLostError) != self.model.holds(claim)
            if isinstance(ended, ClaimLostError):
                continue
            if isinstance(result, Evaluation):
                self.model.complete(claim, result, PROVENANCES[0], self.clock.now)
            elif isinstance(result, Partial):
                self.model.prune(claim, result, self.clock.now)
            else:
                self.model.fail(claim, result, self.clock.now)
            row = self.model.experiments[claim.experiment.id]
            assert (ended.id, ended.attempt) == (claim.experiment.id, claim.attempt)
            assert ended.state.finished == (row["state"] != "waiting")

    @precondition(lambda self: self.usable())
    @rule(pick=PICK)
    def release(self, pick: int) -> None:
        """All that its owner ever claimed, as at the end of a driver."""
        _, one = self.claim_and_owner(pick)
        claims = [claim for claim in self.claims if claim.owner == one.registry.owner]
        present = [claim for claim in claims if self.model.holds(claim)]
        n = self.act(one, lambda r: r.release(claims))
        if n is not None:
            assert n == len(present)
            for claim in present:
                self.model.release(claim)

    @rule(pick=PICK, which=st.lists(PICK, max_size=3))
    def cancel(self, pick: int, which: list[int]) -> None:
        """Some of all there are, whatever their state: only what waits is ended."""
        known = self.reader.experiments(self.study)
        wanted = [known[one % len(known)] for one in which if known]
        one = self.actor(pick)
        done = self.act(one, lambda r: r.cancel(wanted, "by ann"), as_owner=True)
        if done is not None:
            waiting = [e.id for e in wanted if self.model.experiments[e.id]["state"] == "waiting"]
            assert [each.id for each in done] == list(dict.fromkeys(waiting))
            for each in done:
                self.model.cancel(each.id, one.registry.owner, "by ann", self.clock.now)

    @rule(pick=PICK, when=st.sampled_from(["now", "before", "edge"]))
    def recover(self, pick: int, when: str) -> None:
        """Now, or at the very moment at which somebody's lease is over, or one tick before."""
        holding = sorted({row["owner"] for row in self.model.experiments.values() if row["owner"]})
        if holding and when != "now":
            beat_at = self.model.owners[holding[pick % len(holding)]]["heartbeat_at"]
            self.clock.now = beat_at + LEASE_S - (TICK_S if when == "before" else 0)
        self.take_back(self.actor(pick))

    def take_back(self, one: Opening) -> None:
        taken = self.act(one, lambda r: r.recover())
        if taken is not None:
            expected = self.model.recover(one.registry.owner, one.machine, self.clock.now, self.boot_s)
            ids = {e.public_id: e.id for e in self.reader.experiments(self.study)}
            assert [(ids[each.public_id], each.owner, each.dead_s) for each in taken] == expected


class DeploymentsMachine(_Machine):
    """Versions are staged, applied, rolled back and discarded by several at once."""

    def __init__(self) -> None:
        super().__init__()
        self.versions: list[ModelVersion] = []
        self.when_active: dict[int, tuple[Any, Any]] = {}

    @rule(pick=PICK, pipeline=st.sampled_from(PIPELINES), depth=st.integers(0, 3))
    def stage(self, pick: int, pipeline: str, depth: int) -> None:
        params, manifest = {"depth": depth}, {"sha256": f"of {depth}"}
        version = self.act(self.actor(pick), lambda r: r.stage_version(pipeline, params, manifest=manifest))
        if version is not None:
            assert version.number > max((one.number for one in self.versions), default=0), "I12"
            self.versions.append(version)
            self.model.versions[version.number] = {
                "pipeline": pipeline,
                "state": "staged",
                "params": params,
                "manifest": manifest,
            }

    @precondition(lambda self: self.versions)
    @rule(pick=PICK, which=PICK, looked=st.booleans(), signed=st.booleans())
    def apply(self, pick: int, which: int, looked: bool, signed: bool) -> None:
        """Any version there ever was, by one who has looked what is active or not."""
        version = self.versions[-1 - which % len(self.versions)]
        active = self.model.active(version.pipeline)
        manifest = {"signed": len(self.model.ledger)} if signed else None
        refusal: type[RetrainError] | None = None
        if version.number not in self.model.versions:
            refusal = NotFoundError
        elif version.number == active or (active is not None and not looked):
            refusal = MismatchError
        self.activate(self.actor(pick), version, active if looked else None, manifest, refusal)

    def activate(
        self,
        one: Opening,
        version: ModelVersion,
        expected: int | None,
        manifest: dict[str, Any] | None,
        refusal: type[RetrainError] | None,
    ) -> bool:
        deployed = self.act(
            one,
            lambda r: r.activate(
                version, action="apply", who="ann", reason="", manifest=manifest, expect_active=expected
            ),
            refusal,
        )
        if deployed is None:
            return False
        self.model.activate(version.number, manifest)
        return True

    @precondition(lambda self: self.model.ledger)
    @rule(pick=PICK)
    def roll_back(self, pick: int) -> None:
        """I13: what was active before the last deployment is active again, to the last byte."""
        pipeline, before, active = self.model.ledger[-1]
        if before is None:
            return
        one = self.actor(pick)
        version = next(one for one in self.versions if one.number == before)
        if self.activate(one, version, active, None, None):
            found = self.reader.find_active(pipeline)
            assert found is not None
            assert (found.number, found.params, found.manifest) == (before, *self.when_active[before])

    @precondition(lambda self: self.versions)
    @rule(pick=PICK, which=PICK)
    def discard(self, pick: int, which: int) -> None:
        version = self.versions[-1 - which % len(self.versions)]
        state = self.model.versions.get(version.number, {}).get("state")
        refusal = {"staged": None, None: NotFoundError}.get(state, MismatchError)
        if self.act(self.actor(pick), lambda r: [r.discard_version(version)], refusal):
            del self.model.versions[version.number]

    @invariant()
    def note_what_is_active(self) -> None:
        for pipeline in PIPELINES:
            if (active := self.reader.find_active(pipeline)) is not None:
                self.when_active[active.number] = (active.params, active.manifest)


class ExperimentsMachineOnPythons(ExperimentsMachine):
    """Python's own SQLite, which may have no WAL: there a reader can keep a commit from happening."""

    hidden = ("pysqlite3", "pysqlite3.dbapi2")


def _settings(max_examples: int) -> settings:
    """That many examples by default, and more or fewer as the profile has more or fewer than usual."""
    return settings(
        max_examples=max(1, max_examples * settings().max_examples // 100),
        stateful_step_count=50,
        deadline=None,
    )


TestExperiments = ExperimentsMachine.TestCase
TestExperiments.settings = _settings(100)
TestExperimentsOnPythonsSqlite = ExperimentsMachineOnPythons.TestCase
TestExperimentsOnPythonsSqlite.settings = _settings(50)
TestDeployments = DeploymentsMachine.TestCase
TestDeployments.settings = _settings(30)
