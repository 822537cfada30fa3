"""What a Registry answers, and how it keeps versions, ledger and events."""

from dataclasses import replace
from random import Random

import pytest

from tests.contracts.registry_cases import ON, SPEC, START, Clock, Connect, some
from tests.contracts.registry_fixtures import RegistryFixtures
from tuner.errors import MismatchError, NotFoundError, UsageError
from tuner.experiment import (
    Direction,
    Evaluation,
    Experiment,
    Failure,
    Outcome,
    Provenance,
    State,
    Study,
)
from tuner.registry.base import Claim, Effort, FailedAlike, Limits, Registry, StudySpec, VersionState

__all__ = ["QueriesContract"]


class QueriesContract(RegistryFixtures):
    # ---- queries

    def test_an_experiment_is_found_by_any_unique_prefix(
        self, registry: Registry, study: Study, clock: Clock
    ) -> None:
        first, second = registry.add(study, some(2))
        clock.now += 60
        [later] = registry.add(study, some(1, first=2, method="grid"))
        assert registry.get_experiment("g") == later
        assert registry.get_experiment(first.public_id) == first
        assert registry.get_experiment(second.public_id) == second

    def test_an_exact_id_wins_over_longer_ones(self, registry: Registry, study: Study) -> None:
        written = registry.add(study, some(1001))
        assert written[1000].public_id.endswith("_1001")
        assert registry.get_experiment(written[99].public_id) == written[99]

    @pytest.mark.parametrize(
        "prefix", ["random_", "", "%", "random%", "x", "RANDOM", "\ud800", "random_\x00"]
    )
    def test_no_prefix_of_several_or_none_is_accepted(
        self, registry: Registry, study: Study, prefix: str
    ) -> None:
        registry.add(study, some(2))
        with pytest.raises(NotFoundError):
            registry.get_experiment(prefix)

    def test_a_mistyped_id_gets_a_suggestion(self, registry: Registry, study: Study) -> None:
        [written] = registry.add(study, some(1))
        with pytest.raises(NotFoundError, match=f"Did you mean '{written.public_id}'"):
            registry.get_experiment(written.public_id.replace("random", "randon"))

    def test_several_matches_are_named(self, registry: Registry, study: Study) -> None:
        first, second = registry.add(study, some(2))
        with pytest.raises(NotFoundError, match=f"{first.public_id}, {second.public_id}"):
            registry.get_experiment("random")

    def test_experiments_are_filtered_and_ordered(self, registry: Registry, study: Study) -> None:
        written = registry.add(study, some(4))
        registry.claim(study, 1)
        ids = [e.id for e in written]

        def read(**filters: object) -> list[int]:
            return [e.id for e in registry.experiments(study, **filters)]  # type: ignore[arg-type]

        assert read() == ids
        assert read(states=[State.WAITING]) == ids[1:]
        assert read(states=[]) == []
        assert read(limit=2) == ids[:2]
        assert read(limit=2, newest_first=True) == [ids[3], ids[2]]
        assert [e.id for e in registry.experiments()] == ids

    def test_counts_have_every_state(self, registry: Registry, study: Study) -> None:
        assert registry.counts(study) == dict.fromkeys(State, 0)
        run = registry.start_run(study, method="random", n_wanted=1, seed=0, info={})
        registry.add(study, some(2))
        registry.add(study, some(1, first=2), run=run)
        registry.claim(study, 1)
        assert registry.counts(study) == dict.fromkeys(State, 0) | {State.WAITING: 2, State.RUNNING: 1}
        assert registry.counts(study, run) == dict.fromkeys(State, 0) | {State.WAITING: 1}
        assert {type(n) for n in registry.counts(study).values()} == {int}

    def score(
        self, registry: Registry, study: Study, values: list[float], on: Provenance
    ) -> list[Experiment]:
        n = len(registry.experiments(study))
        registry.add(study, some(len(values), first=n))
        return [registry.complete(registry.claim(study)[0], Evaluation(v), on) for v in values]

    @pytest.mark.parametrize(("direction", "order"), [("maximize", [1, 3, 0, 2]), ("minimize", [2, 0, 1, 3])])
    def test_best_follows_the_direction_and_ties_go_to_the_older(
        self, registry: Registry, direction: str, order: list[int]
    ) -> None:
        study = registry.open_study(
            StudySpec("s", SPEC.space, SPEC.metric, Direction(direction), SPEC.baseline)
        )
        assert registry.best(study) == []
        scored = self.score(registry, study, [0.2, 0.9, -0.1, 0.9], ON)
        assert registry.best(study, 9) == [scored[i] for i in order]
        assert registry.best(study) == [scored[order[0]]]

    def test_best_never_mixes_what_was_scored_on_other_data_code_or_metric(
        self, registry: Registry, other: Registry, study: Study
    ) -> None:
        old = self.score(registry, study, [0.9, 0.8], ON)
        newer = Provenance(data="d2", code="c1", metric="m1")
        new = self.score(registry, study, [0.5, 0.6], newer)
        assert other.provenances(study) == [(newer, 2), (ON, 2)]
        assert other.best(study, 9) == [new[1], new[0]]
        assert other.best(study, 9, ON) == [old[0], old[1]]
        assert other.best(study, 9, Provenance("d3")) == []

    def test_the_latest_provenance_is_that_of_the_latest_result_whatever_the_clock_says(
        self, registry: Registry, study: Study, clock: Clock
    ) -> None:
        newer = Provenance(data="d2")
        self.score(registry, study, [0.1], ON)
        self.score(registry, study, [0.2], newer)
        clock.now -= 86_400
        self.score(registry, study, [0.3], ON)
        assert [p for p, _ in registry.provenances(study)] == [ON, newer]
        assert registry.best(study)[0].value == 0.3

    def test_failed_experiments_are_never_best(self, registry: Registry, study: Study) -> None:
        registry.add(study, some(1))
        registry.fail(registry.claim(study)[0], Failure(Outcome.NON_FINITE, "NaN"), Limits(failures=1))
        assert registry.best(study) == []
        assert registry.provenances(study) == []

    def test_what_was_scored_is_found_by_its_parameters_or_its_method(
        self, registry: Registry, other: Registry, study: Study
    ) -> None:
        newer = Provenance(data="d2")
        [default] = registry.add(study, some(1, method="default"))
        old = registry.complete(registry.claim(study)[0], Evaluation(0.1), ON)
        [first, second] = self.score(registry, study, [0.2, 0.3], newer)
        registry.add(study, some(1, method="default"), repeat=True)
        again = registry.complete(registry.claim(study)[0], Evaluation(0.4), newer)
        registry.add(study, some(1, first=9, method="default_2"))
        longer = registry.complete(registry.claim(study)[0], Evaluation(0.5), newer)
        assert other.find_scored(study, ON, method="default") == old
        assert other.find_scored(study, newer, method="default") == again
        assert other.find_scored(study, newer, method="default_2") == longer
        assert other.find_scored(study, newer, method="random") == second
        assert other.find_scored(study, ON, params=default.params) == old
        assert other.find_scored(study, newer, params=dict(default.params)) == again
        assert other.find_scored(study, newer, params=first.params, method="random") == first
        assert other.find_scored(study, newer, params=first.params, method="default") is None
        assert other.find_scored(study, ON, params=first.params) is None
        assert other.find_scored(study, newer, params={"depth": 1.0, "rate": 0.125}) is None
        assert other.find_scored(study, Provenance("d3"), method="default") is None

    def test_what_was_scored_is_of_its_own_study_and_has_a_value(
        self, registry: Registry, study: Study
    ) -> None:
        second = registry.open_study(StudySpec("b", SPEC.space, SPEC.metric, SPEC.direction, SPEC.baseline))
        [written] = registry.add(study, some(1))
        assert registry.find_scored(study, ON, params=written.params) is None
        registry.complete(registry.claim(study)[0], Evaluation(0.1), ON)
        assert registry.find_scored(second, ON, params=written.params) is None
        assert registry.find_scored(second, ON, method="random") is None

    def test_methods_are_counted_and_compared_apart(
        self, registry: Registry, other: Registry, study: Study
    ) -> None:
        assert other.counts_by_method(study) == {}
        registry.add(study, some(3, method="grid"))
        registry.add(study, some(3, first=3))
        second = registry.open_study(StudySpec("b", SPEC.space, SPEC.metric, SPEC.direction, SPEC.baseline))
        registry.add(second, some(1, method="default"))
        claims = registry.claim(study, 5)
        for claim, value in zip(claims[:4], (0.5, 0.9, 0.2, 0.7), strict=True):
            registry.complete(claim, Evaluation(value), ON)
        registry.fail(claims[4], Failure(Outcome.CANCELLED, "x"))
        found = other.counts_by_method(study)
        assert list(found) == ["grid", "random"]
        assert found["grid"] == dict.fromkeys(State, 0) | {State.COMPLETE: 3}
        assert found["random"] == dict.fromkeys(State, 0) | {
            State.COMPLETE: 1,
            State.FAILED: 1,
            State.WAITING: 1,
        }
        assert [one.value for one in other.best(study, 9, method="grid")] == [0.9, 0.5, 0.2]
        assert [one.value for one in other.best(study, 9, ON, method="random")] == [0.7]
        assert other.best(study, method="default") == []

    def test_effort_counts_parallel_experiments_once_and_pauses_not_at_all(
        self, registry: Registry, study: Study, clock: Clock
    ) -> None:
        assert registry.effort(study) == Effort(0.0, 0.0)
        registry.add(study, some(5))
        first, second = registry.claim(study, 2)
        clock.now += 10
        registry.complete(first, Evaluation(0.5, duration_s=9.0), ON)
        [third] = registry.claim(study)
        clock.now += 2
        registry.fail(third, Failure(Outcome.CANCELLED, "x", duration_s=2.0))
        clock.now += 3
        registry.complete(second, Evaluation(0.5), ON)
        assert registry.effort(study) == Effort(11.0, 15.0)
        clock.now += 1000
        [fourth] = registry.claim(study)
        registry.claim(study)
        clock.now += 4
        registry.complete(fourth, Evaluation(0.5, duration_s=4.0), ON)
        assert registry.effort(study) == Effort(15.0, 19.0)

    def test_failures_are_told_once_for_each_error(self, registry: Registry, study: Study) -> None:
        registry.add(study, some(6))
        ends: list[Evaluation | Failure] = [
            Failure(Outcome.ERROR, "no gold"),
            Failure(Outcome.TIMEOUT, "no gold"),
            Failure(Outcome.ERROR, "no gold"),
            Evaluation(0.5),
            Failure(Outcome.ERROR, ""),
        ]
        claims = registry.claim(study, 6)
        ended = registry.finish(list(zip(claims[:5], ends, strict=True)), ON, Limits(failures=1))
        ids = [one.public_id for one in ended if isinstance(one, Experiment)]
        assert registry.failures(study) == [
            FailedAlike(Outcome.TIMEOUT, "no gold", 1, ids[1]),
            FailedAlike(Outcome.ERROR, "no gold", 2, ids[2]),
            FailedAlike(Outcome.ERROR, "", 1, ids[4]),
        ]

    @pytest.mark.parametrize("seed", range(5))
    def test_effort_is_the_union_of_all_spans(
        self, registry: Registry, study: Study, clock: Clock, seed: int
    ) -> None:
        rng = Random(seed)
        registry.add(study, some(12))
        running: list[Claim] = []
        n_claimed = 0
        while running or n_claimed < 12:
            clock.now += rng.choice([0, 1, 4])
            if n_claimed < 12 and (not running or rng.random() < 0.5):
                running += registry.claim(study)
                n_claimed += 1
            else:
                registry.complete(running.pop(rng.randrange(len(running))), Evaluation(0.5), ON)
        done = registry.experiments(study)
        seconds = {t for e in done for t in range(int(e.started_at or 0), int(e.finished_at or 0))}
        assert registry.effort(study).wall_s == len(seconds)

    def test_studies_and_runs_that_lie_between_each_other_are_listed_apart(
        self, registry: Registry, study: Study
    ) -> None:
        second = registry.open_study(replace(SPEC, name="second"))
        runs = [registry.start_run(study, method="random", n_wanted=n, seed=0, info={}) for n in (1, 2)]
        wanted: dict[int, list[int]] = {0: [], 1: [], 2: [], 3: []}
        for n, one in enumerate(some(12)):
            of, run = [(study, None), (study, runs[0]), (second, None), (study, runs[1])][n % 4]
            wanted[n % 4] += [each.id for each in registry.add(of, [one], run=run)]
        of_study = sorted(wanted[0] + wanted[1] + wanted[3])
        assert [each.id for each in registry.experiments(second)] == wanted[2]
        assert [each.id for each in registry.experiments(study)] == of_study
        assert [each.id for each in registry.experiments(study, limit=4, newest_first=True)] == of_study[
            :-5:-1
        ]
        for run, ids in zip(runs, (wanted[1], wanted[3]), strict=True):
            for given in (study, None):
                assert [each.id for each in registry.experiments(given, run=run)] == ids
            assert registry.counts(study, run)[State.WAITING] == 3
        assert registry.counts(study)[State.WAITING] == 9
        assert (
            registry.experiments(second, states=[State.COMPLETE, State.WAITING], limit=1)[0].id
            == wanted[2][0]
        )

    def test_a_clock_set_back_takes_no_effort_away(
        self, registry: Registry, study: Study, clock: Clock
    ) -> None:
        registry.add(study, some(2))
        first, second = registry.claim(study, 2)
        clock.now -= 100
        registry.complete(first, Evaluation(0.5, duration_s=1.0), ON)
        clock.now += 107
        registry.complete(second, Evaluation(0.5, duration_s=7.0), ON)
        assert registry.effort(study) == Effort(8.0, 7.0)

    # ---- versions, ledger, events

    def test_a_version_goes_from_staged_to_active_to_retired(
        self, registry: Registry, other: Registry, study: Study, clock: Clock
    ) -> None:
        [source] = registry.add(study, some(1))
        first = registry.stage_version(
            "credit", {"depth": 3}, manifest={"files": {}}, experiment=source.public_id
        )
        assert (first.number, first.state, first.params) == (1, VersionState.STAGED, {"depth": 3})
        assert (first.experiment, first.created_at) == (source.public_id, START)
        assert other.find_active("credit") is None
        clock.now += 1
        gates = [{"metric": "auc", "ok": True}]
        deployed = registry.activate(first, action="apply", who="ann", reason="better", gates=gates)
        assert (deployed.from_version, deployed.to_version, deployed.at) == (None, 1, START + 1)
        assert (deployed.action, deployed.who, deployed.reason) == ("apply", "ann", "better")
        assert (deployed.gates, deployed.experiment, deployed.pipeline) == (gates, source.public_id, "credit")
        second = registry.stage_version("credit", {"depth": 4}, manifest={})
        registry.activate(
            second, action="apply", who="ann", reason="", manifest={"files": {"m": "1"}}, expect_active=1
        )
        active = other.find_active("credit")
        assert active is not None
        assert (active.number, active.manifest, active.experiment) == (2, {"files": {"m": "1"}}, None)
        back = registry.activate(first, action="rollback", who="bob", reason="worse", expect_active=2)
        assert (back.from_version, back.to_version) == (2, 1)
        assert [v.state for v in other.versions("credit")] == [VersionState.ACTIVE, VersionState.RETIRED]
        assert [d.action for d in other.deployments("credit")] == ["apply", "apply", "rollback"]

    def test_pipelines_do_not_touch_each_other(self, registry: Registry) -> None:
        for pipeline in ("a", "b"):
            version = registry.stage_version(pipeline, {}, manifest={})
            registry.activate(version, action="apply", who="", reason="")
        assert [v.number for v in registry.versions("a") + registry.versions("b")] == [1, 2]
        assert all(registry.find_active(pipeline) for pipeline in ("a", "b"))

    def test_a_stale_view_of_what_is_active_changes_nothing(
        self, registry: Registry, other: Registry
    ) -> None:
        first, second = (registry.stage_version("credit", {"n": n}, manifest={}) for n in (1, 2))
        registry.activate(first, action="apply", who="ann", reason="")
        before = (registry.versions("credit"), registry.deployments("credit"))
        with pytest.raises(MismatchError, match="must still be none, but it is version 1"):
            other.activate(second, action="apply", who="bob", reason="")
        with pytest.raises(MismatchError, match="already in production"):
            other.activate(first, action="apply", who="bob", reason="", expect_active=1)
        assert (registry.versions("credit"), registry.deployments("credit")) == before

    def test_only_a_staged_version_is_discarded_and_its_number_never_comes_back(
        self, registry: Registry
    ) -> None:
        staged = registry.stage_version("credit", {}, manifest={})
        registry.discard_version(staged)
        assert registry.versions("credit") == []
        with pytest.raises(NotFoundError):
            registry.activate(staged, action="apply", who="", reason="")
        active = registry.stage_version("credit", {}, manifest={})
        assert active.number == staged.number + 1
        registry.activate(active, action="apply", who="", reason="")
        with pytest.raises(MismatchError):
            registry.discard_version(active)
        assert [v.number for v in registry.versions("credit")] == [active.number]

    def test_a_version_of_an_unknown_experiment_is_refused(self, registry: Registry) -> None:
        with pytest.raises(NotFoundError):
            registry.stage_version("credit", {}, manifest={}, experiment="nothing")
        assert registry.versions("credit") == []

    def test_events_come_newest_first(self, registry: Registry, other: Registry, clock: Clock) -> None:
        registry.log("recovered", "3 experiments", salience=0.9, n=3)
        clock.now += 1
        registry.log("note", "second")
        newest, oldest = other.events()
        assert (newest.kind, newest.message, newest.salience, newest.data, newest.at) == (
            "note",
            "second",
            0.5,
            {},
            START + 1,
        )
        assert (oldest.salience, oldest.data) == (0.9, {"n": 3})
        assert other.events(limit=1) == [newest]
        assert other.events(limit=1, kind="recovered") == [oldest]
        assert other.events(kind="unheard of") == []

    @pytest.mark.parametrize("salience", [-0.1, 1.1, float("nan")])
    def test_a_salience_is_between_0_and_1(self, registry: Registry, salience: float) -> None:
        with pytest.raises(UsageError):
            registry.log("note", "x", salience=salience)
        assert registry.events() == []

    # ---- the object itself

    def test_close_is_idempotent_and_a_context_manager_closes(self, connect: Connect, study: Study) -> None:
        with connect() as registry:
            registry.add(study, some(1))
            registry.claim(study)
        registry.close()
        assert len(connect().recover()) == 1

    def test_owners_differ(self, registry: Registry, other: Registry) -> None:
        assert registry.owner != other.owner
