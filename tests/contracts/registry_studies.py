"""What a Registry keeps of studies, runs and candidates."""

import numpy as np
import pytest

from tests.contracts.registry_cases import SPEC, START, Clock, Connect, some
from tests.contracts.registry_fixtures import RegistryFixtures
from tuner.errors import MismatchError, UsageError
from tuner.experiment import (
    Direction,
    State,
    Study,
    Suggestion,
)
from tuner.registry.base import Registry, StudySpec

__all__ = ["StudiesContract"]


class StudiesContract(RegistryFixtures):
    # ---- studies

    def test_a_study_is_stored_as_it_was_defined(self, registry: Registry, other: Registry) -> None:
        study = registry.open_study(SPEC)
        assert (study.name, study.metric, study.direction, study.seed) == ("credit", "roc_auc", "maximize", 7)
        assert (study.space, study.baseline, study.created_at) == (SPEC.space, SPEC.baseline, START)
        assert other.find_study("credit") == study
        assert other.studies() == [study]

    def test_opening_a_study_again_returns_it_and_keeps_its_seed_and_baseline(
        self, study: Study, other: Registry
    ) -> None:
        again = StudySpec(
            SPEC.name, SPEC.space, SPEC.metric, SPEC.direction, {"depth": 9, "rate": 0.2}, seed=8
        )
        assert other.open_study(again) == study

    @pytest.mark.parametrize(
        ("changed", "named"),
        [
            ({"metric": "f1"}, "'roc_auc'.*'f1'"),
            ({"direction": Direction.MINIMIZE}, "'maximize'.*'minimize'"),
            (
                {"space": {"params": {"depth": {"type": "int", "low": 1, "high": 8}}}},
                "params.depth.high 9.*8",
            ),
        ],
    )
    def test_another_definition_under_the_same_name_is_refused_and_named(
        self, study: Study, other: Registry, changed: dict[str, object], named: str
    ) -> None:
        fields = {"space": SPEC.space, "metric": SPEC.metric, "direction": SPEC.direction}
        spec = StudySpec(name="credit", baseline=SPEC.baseline, **(fields | changed))  # type: ignore[arg-type]
        with pytest.raises(MismatchError, match=named):
            other.open_study(spec)
        assert other.studies() == [study]

    def test_the_order_of_parameters_is_no_difference(self, registry: Registry) -> None:
        def spec(*names: str) -> StudySpec:
            space = {"params": {name: {"type": "int"} for name in names}}
            return StudySpec("s", space, "m", Direction.MINIMIZE, {})

        assert registry.open_study(spec("a", "b")) == registry.open_study(spec("b", "a"))

    def test_an_unknown_study_is_none(self, registry: Registry) -> None:
        assert registry.find_study("credit") is None
        assert registry.studies() == []

    # ---- runs

    def test_the_run_of_a_dead_owner_is_taken_over_and_that_of_a_living_one_is_not(
        self, connect: Connect, registry: Registry, study: Study
    ) -> None:
        wanted = {"method": "random", "n_wanted": 5, "seed": 7}
        run = registry.start_run(study, info={"argv": ["x"]}, **wanted)  # type: ignore[arg-type]
        assert (run.method, run.n_wanted, run.seed, run.ended_at, run.info) == (
            "random",
            5,
            7,
            None,
            {"argv": ["x"]},
        )
        other = connect()
        second = other.start_run(study, info={}, **wanted)  # type: ignore[arg-type]
        assert second.id != run.id
        registry.close()
        third = connect()
        taken = third.start_run(study, info={}, **wanted)  # type: ignore[arg-type]
        assert (taken.id, taken.owner, taken.started_at) == (run.id, third.owner, run.started_at)

    @pytest.mark.parametrize("changed", [{"method": None}, {"method": "grid"}, {"n_wanted": 6}, {"seed": 8}])
    def test_only_the_same_command_continues_a_run(
        self, connect: Connect, registry: Registry, study: Study, changed: dict[str, object]
    ) -> None:
        wanted: dict[str, object] = {"method": "random", "n_wanted": 5, "seed": 7}
        run = registry.start_run(study, info={}, **wanted)  # type: ignore[arg-type]
        registry.close()
        assert connect().start_run(study, info={}, **(wanted | changed)).id != run.id  # type: ignore[arg-type]

    def test_a_run_that_came_to_its_end_is_not_taken_over(
        self, connect: Connect, registry: Registry, study: Study
    ) -> None:
        run = registry.start_run(study, method="random", n_wanted=5, seed=7, info={})
        registry.end_run(run)
        registry.close()
        assert connect().start_run(study, method="random", n_wanted=5, seed=7, info={}).id != run.id

    def test_the_run_that_wrote_an_experiment_is_found(
        self, registry: Registry, study: Study, other: Registry
    ) -> None:
        run = registry.start_run(study, method="random", n_wanted=2, seed=7, info={"argv": ["x"]})
        [alone] = registry.add(study, some(1))
        [one] = registry.add(study, some(1, first=1), run=run)
        assert other.find_run(one) == run
        assert other.find_run(alone) is None

    # ---- writing candidates

    def test_suggestions_become_waiting_rows_in_order(
        self, registry: Registry, study: Study, other: Registry
    ) -> None:
        run = registry.start_run(study, method="random", n_wanted=2, seed=7, info={})
        [first] = registry.add(study, some(1))
        suggestions = [
            Suggestion({"depth": 5, "rate": 0.5}, "grid", {"axis": "rate"}, parent=first.public_id),
            Suggestion({"rate": 0.25, "depth": 4}, "grid"),
        ]
        written = registry.add(study, suggestions, run=run)
        assert [e.params for e in written] == [s.params for s in suggestions]
        assert [list(e.params) for e in written] == [["depth", "rate"], ["rate", "depth"]]
        assert [e.reason for e in written] == [{"axis": "rate"}, {}]
        assert [(e.parent, e.run_id, e.seed) for e in written] == [
            (first.public_id, run.id, 7),
            (None, run.id, 7),
        ]
        assert all(e.state is State.WAITING and e.attempt == 0 for e in written)
        assert other.experiments(study) == [first, *written]
        assert other.experiments(run=run) == written

    def test_public_ids_say_method_and_utc_time_and_are_numbered(
        self, registry: Registry, other: Registry, study: Study, clock: Clock
    ) -> None:
        ids = [e.public_id for e in registry.add(study, some(2)) + other.add(study, some(1, first=2))]
        assert ids == [f"random_20231114_221320_{n:03d}" for n in (1, 2, 3)]
        assert registry.add(study, some(1, first=5, method="grid"))[0].public_id == "grid_20231114_221320_001"
        clock.now += 1
        assert registry.add(study, some(1, first=6))[0].public_id == "random_20231114_221321_001"

    @pytest.mark.parametrize("n_before", [3, 900])
    def test_many_at_once_know_what_the_study_has(
        self, n_before: int, registry: Registry, study: Study
    ) -> None:
        """Fewer than are written, or more: looked up in another way."""
        registry.add(registry.open_study(StudySpec("other", {}, "auc", SPEC.direction, {})), some(2000))
        before = registry.add(study, some(n_before))
        first = n_before - 2
        written = registry.add(study, some(700, first=first))
        assert [one.params["depth"] for one in written] == list(range(n_before, first + 700))
        again = registry.add(study, some(700, first=first), repeat=True)
        assert [one.repeat for one in again] == [1] * 700
        assert registry.counts(study)[State.WAITING] == len(before) + len(written) + 700

    def test_a_configuration_is_written_once_per_study(
        self, registry: Registry, other: Registry, study: Study
    ) -> None:
        [kept] = registry.add(study, some(1))
        same_in_other_order = Suggestion(dict(sorted(kept.params.items(), reverse=True)), "grid")
        assert (
            other.add(study, [same_in_other_order, *some(1), *some(1, first=1), *some(1, first=1)])
            == (other.experiments(study)[1:])
        )
        assert [e.params["depth"] for e in other.experiments(study)] == [0, 1]
        second_study = registry.open_study(
            StudySpec("other", SPEC.space, SPEC.metric, SPEC.direction, SPEC.baseline)
        )
        assert len(registry.add(second_study, some(1))) == 1

    def test_a_repeat_is_a_new_row(self, registry: Registry, study: Study) -> None:
        [first] = registry.add(study, some(1))
        second, third = registry.add(study, some(1) * 2, repeat=True)
        assert [e.repeat for e in (first, second, third)] == [0, 1, 2]
        assert registry.add(study, some(1)) == []

    def test_types_of_values_are_kept(self, registry: Registry, other: Registry, study: Study) -> None:
        params = {
            "a": 1,
            "b": 1.0,
            "c": True,
            "d": None,
            "e": "1",
            "f": 0.1 + 0.2,
            "g": 1e-300,
            "h": 'ü"\n\x00',
        }
        registry.add(study, [Suggestion(params, "random")])
        [read] = other.experiments(study)
        assert read.params == params
        assert [type(value) for value in read.params.values()] == [type(value) for value in params.values()]

    def test_numpy_scalars_become_plain(self, registry: Registry, other: Registry, study: Study) -> None:
        given = {"a": np.int64(3), "b": np.float64(0.5), "c": np.bool_(True), "d": np.str_("x")}
        written = registry.add(study, [Suggestion(given, "random")])  # type: ignore[arg-type]
        assert written == other.experiments(study)
        assert [type(value) for value in written[0].params.values()] == [int, float, bool, str]

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), [1], object()])
    def test_a_value_that_is_no_finite_scalar_is_refused_and_nothing_is_written(
        self, registry: Registry, study: Study, bad: object
    ) -> None:
        with pytest.raises(UsageError):
            registry.add(study, [*some(1), Suggestion({"depth": bad}, "random")])  # type: ignore[dict-item]
        assert registry.experiments(study) == []

    def test_what_no_database_can_store_is_a_usage_error(self, registry: Registry, study: Study) -> None:
        for write in (
            lambda: registry.start_run(study, method="random", n_wanted=1, seed=2**70, info={}),
            lambda: registry.find_study("\ud800"),
            lambda: registry.add(study, [Suggestion({"depth": 1}, "\ud800")]),
        ):
            with pytest.raises(UsageError):
                write()
        assert registry.experiments(study) == []

    def test_an_unknown_parent_is_refused(self, registry: Registry, study: Study) -> None:
        with pytest.raises(UsageError, match="grid_x"):
            registry.add(study, [Suggestion({"depth": 1}, "grid", parent="grid_x")])
        assert registry.experiments(study) == []
