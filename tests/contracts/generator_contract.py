"""What every Generator keeps. The test file of each subclasses `GeneratorContract` and names its method."""

import copy
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import NoneType
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tuner.spaces import all_configs, is_valid, search_spaces, seeds
from tuner.direction import Direction
from tuner.errors import UsageError
from tuner.experiment import Observation, Params, Suggestion
from tuner.generators import Generator, alone, make_generator
from tuner.goals import Goals, Limit, Objective
from tuner.space import (
    CategoricalParam,
    FloatParam,
    Forbid,
    Increasing,
    IntParam,
    SearchSpace,
    Sum,
    config_key,
)

__all__ = ["MIXED", "SMALL", "GeneratorContract", "a_value", "keys"]

MIXED = SearchSpace(
    [
        FloatParam("rate", 1e-4, 1.0, log=True),
        IntParam("depth", 2, 12),
        CategoricalParam("booster", ["gbtree", "dart"]),
        FloatParam("drop", 0.0, 1.0, when={"booster": ["dart"]}),
        *(FloatParam(f"w{i}", 0.0, 1.0, default=d) for i, d in enumerate([0.5, 0.3, 0.2])),
        FloatParam("low", 0.0, 1.0, step=0.05, default=0.3),
        FloatParam("high", 0.0, 1.0, step=0.05, default=0.7),
    ],
    [Sum(["w0", "w1", "w2"], 1.0), Increasing(["low", "high"]), Forbid({"booster": "dart", "depth": [2, 3]})],
)
"""Every kind of parameter and constraint at once."""

SMALL = SearchSpace(
    [
        CategoricalParam("kind", ["a", 1, 1.0, True, None]),
        IntParam("depth", 1, 4),
        FloatParam("share", 0.0, 0.5, step=0.25, when={"kind": ["a"]}),
    ],
    [Forbid({"kind": 1, "depth": 2})],
)
"""27 configurations."""

GOALS = Goals((Objective("gain", Direction.MAXIMIZE),), (Limit("cost", max=6.0),))

# Each test class runs the properties, and none keeps anything from one run to the next.
PROPERTY = settings(deadline=None, suppress_health_check=[HealthCheck.differing_executors])

_ASK_ELSEWHERE = """
import importlib, json, sys
from tuner.experiment import Observation
given = json.load(sys.stdin)
contract = getattr(importlib.import_module(given["module"]), given["contract"])
generator = contract().make(n_asked=given["n_asked"])
generator.tell([Observation(params, value) for params, value in given["finished"]], given["pending"])
print(json.dumps([dict(suggestion.params) for suggestion in generator.ask(6)]))
"""


def keys(configs: Sequence[Params | Suggestion]) -> list[str]:
    """The identity of each configuration."""
    return [config_key(one.params if isinstance(one, Suggestion) else one) for one in configs]


def a_value(params: Params) -> float | None:
    """A metric of `MIXED` and `SMALL` that fails for some configurations."""
    if params["depth"] == 4:
        return None
    return sum(float(v) for v in params.values() if isinstance(v, int | float)) % 1.7


def observed(configs: Sequence[Suggestion]) -> list[Observation]:
    return [Observation(one.params, a_value(one.params)) for one in configs]


def measured(configs: Sequence[Suggestion]) -> list[Observation]:
    """With what `GOALS` ask for; one in five lacks it."""
    told = []
    for one in configs:
        depth = float(one.params["depth"])  # type: ignore[arg-type]
        metrics = {} if depth == 5 else {"gain": depth % 3, "cost": depth}
        told.append(Observation(one.params, a_value(one.params), metrics=metrics))
    return told


def looking_first(free: list[bool], method: Callable[..., Any]) -> Callable[..., Any]:
    """The same method, which first notes whether another thread could propose now."""

    def tried() -> bool:
        if taken := alone._lock.acquire(blocking=False):
            alone._lock.release()
        return taken

    def looking(*given: Any) -> Any:
        with ThreadPoolExecutor(1) as other:
            free.append(other.submit(tried).result())
        return method(*given)

    return looking


class GeneratorContract:
    method: ClassVar[str]
    takes_goals: ClassVar[bool] = True

    def make(self, space: SearchSpace = MIXED, seed: int = 7, **more: Any) -> Generator:
        return make_generator(self.method, space, seed=seed, **more)

    def grown(self, n: int = 12, **more: Any) -> tuple[Generator, list[Observation], list[Params]]:
        """A generator that was told of `n` configurations of its own, two of them still pending."""
        generator = self.make(**more)
        asked = generator.ask(n)
        finished, pending = observed(asked[:-2]), [one.params for one in asked[-2:]]
        generator.tell(finished, pending)
        return generator, finished, pending

    # ---- what a suggestion is

    @settings(PROPERTY, max_examples=15)
    @given(space=search_spaces(), seed=seeds, data=st.data())
    def test_suggestions_are_valid_plain_and_new(
        self, space: SearchSpace, seed: int, data: st.DataObject
    ) -> None:
        generator = self.make(space, seed)
        told: set[str] = set()
        for _ in range(3):
            suggestions = generator.ask(data.draw(st.integers(1, 6)))
            for one in suggestions:
                assert is_valid(space, one.params), one.params
                assert {type(value) for value in one.params.values()} <= {int, float, str, bool, NoneType}
                assert one.method == self.method
                json.dumps(dict(one.reason), allow_nan=False)
            found = keys(suggestions)
            assert len(set(found)) == len(found)
            assert not told & set(found)
            told |= set(found)
            values = [data.draw(st.one_of(st.none(), st.floats(-1e300, 1e300))) for _ in suggestions]
            generator.tell([Observation(o.params, v) for o, v in zip(suggestions, values, strict=True)])

    def test_what_is_finished_pending_or_asked_is_not_proposed_again(self) -> None:
        every = list(SMALL.enumerate())
        generator = self.make(SMALL)
        generator.tell([Observation(params, 1.0) for params in every[:9]], pending=every[9:20])
        assert set(keys(generator.ask(4)) + keys(generator.ask(10))) == set(keys(every[20:]))

    def test_what_is_no_longer_pending_may_be_proposed(self) -> None:
        every = list(SMALL.enumerate())
        generator = self.make(SMALL)
        generator.tell([Observation(params, 1.0) for params in every[:-2]], pending=every[-2:])
        assert generator.ask(1) == []
        generator.tell([], pending=every[-1:])
        assert keys(generator.ask(2)) == keys(every[-2:-1])

    @settings(PROPERTY, max_examples=20)
    @given(space=search_spaces(max_blocks=2, finite=True), seed=seeds)
    def test_a_finite_space_is_exhausted_without_repeats_and_then_said_to_be(
        self, space: SearchSpace, seed: int
    ) -> None:
        self.exhaust(space, seed)

    def exhaust(self, space: SearchSpace, seed: int) -> None:
        """Ask for everything; engines too slow for 20 spaces override the test above with fewer."""
        generator = self.make(space, seed)
        found: list[str] = []
        while (suggestions := generator.ask(40)) and len(found) <= 120:
            found += keys(suggestions)
            generator.tell([Observation(one.params, float(len(found))) for one in suggestions])
        assert len(set(found)) == len(found)
        if not suggestions:
            assert sorted(found) == sorted(keys(all_configs(space)))

    # ---- the same again

    def test_the_same_seed_and_history_give_the_same_suggestions_in_another_process(self) -> None:
        generator, finished, pending = self.grown()
        given = {
            "module": type(self).__module__,
            "contract": type(self).__qualname__,
            "n_asked": generator.n_asked,
            "finished": [(dict(one.params), one.value) for one in finished],
            "pending": [dict(params) for params in pending],
        }
        elsewhere = subprocess.run(
            [sys.executable, "-c", _ASK_ELSEWHERE],
            input=json.dumps(given),
            env={**os.environ, "PYTHONHASHSEED": "11", "OMP_NUM_THREADS": "2"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(elsewhere.stdout) == [dict(one.params) for one in generator.ask(6)]

    def test_a_resumed_study_goes_on_as_an_uninterrupted_one(self) -> None:
        generator, finished, pending = self.grown()
        resumed = self.make(n_asked=generator.n_asked)
        resumed.tell(finished, pending)
        for _ in range(3):
            suggestions = generator.ask(2)
            assert keys(resumed.ask(2)) == keys(suggestions)
            for one in (generator, resumed):
                one.tell(observed(suggestions), pending)

    def test_one_by_one_equals_all_at_once(self) -> None:
        generator, _, _ = self.grown()
        other, _, _ = self.grown()
        assert keys([*other.ask(1), *other.ask(2), *other.ask(2)]) == keys(generator.ask(5))

    def test_the_order_of_tells_does_not_matter(self) -> None:
        generator, finished, pending = self.grown()
        other = self.make(n_asked=generator.n_asked)
        other.tell(finished[7:])
        other.tell(list(reversed(finished[:7])), list(reversed(pending)))
        assert keys(other.ask(4)) == keys(generator.ask(4))

    def test_maximising_mirrors_minimising(self) -> None:
        _, finished, pending = self.grown()
        mirrored = [Observation(one.params, None if one.value is None else -one.value) for one in finished]
        up, down = self.make(direction="maximize"), self.make(direction="minimize")
        up.tell(mirrored, pending)
        down.tell(finished, pending)
        assert keys(up.ask(4)) == keys(down.ask(4))

    # ---- what it is told

    def test_a_configuration_of_another_space_is_ignored(self) -> None:
        generator, finished, pending = self.grown()
        strange: list[Mapping[str, Any]] = [
            {"rate": 0.1},
            {**MIXED.defaults(), "depth": 99},
            {**MIXED.defaults(), "new": 1},
            {},
        ]
        other = self.make(n_asked=generator.n_asked)
        other.tell([*finished, *(Observation(params, -1e9) for params in strange)], [*pending, *strange])
        assert keys(other.ask(4)) == keys(generator.ask(4))

    def test_a_configuration_it_never_asked_is_welcome(self) -> None:
        generator = self.make(SMALL)
        generator.tell(
            [Observation({"kind": "a", "depth": 3.0, "share": 0}, 1.0)]
        )  # 3.0 and 0 mean 3 and 0.0
        found = keys(generator.ask(100))
        assert config_key({"kind": "a", "depth": 3, "share": 0.0}) not in found
        assert len(found) == 26

    def test_nothing_but_failures_does_not_stop_it(self) -> None:
        generator = self.make()
        for _ in range(3):
            suggestions = generator.ask(4)
            assert len(suggestions) == 4
            generator.tell([Observation(one.params, None) for one in suggestions])

    @pytest.mark.parametrize("value", [0.0, 5.0, -1e300, 1e-310])
    def test_equal_values_do_not_stop_it(self, value: float) -> None:
        generator = self.make()
        for _ in range(3):
            suggestions = generator.ask(4)
            assert len(suggestions) == 4
            generator.tell([Observation(one.params, value) for one in suggestions])

    # ---- goals beside the metric

    def test_a_study_with_goals_is_served_like_any_or_refused_in_one_sentence(self) -> None:
        if not self.takes_goals:
            with pytest.raises(UsageError, match=f"The method {self.method} learns from one metric alone"):
                self.make(goals=GOALS)
            return
        generator = self.make(goals=GOALS)
        asked = generator.ask(14)
        finished, pending = measured(asked[:-2]), [one.params for one in asked[-2:]]
        generator.tell(finished, pending)
        resumed = self.make(goals=GOALS, n_asked=generator.n_asked)
        resumed.tell(list(reversed(finished)), pending)
        suggestions = generator.ask(3)
        assert keys([*resumed.ask(1), *resumed.ask(2)]) == keys(suggestions)
        assert len(set(keys([*asked, *suggestions]))) == 17
        for one in suggestions:
            assert is_valid(MIXED, one.params)
            json.dumps(dict(one.reason), allow_nan=False)

    @pytest.mark.parametrize("value", [5.0, 1e300, -1e-310])
    def test_metrics_of_any_size_do_not_stop_it(self, value: float) -> None:
        if not self.takes_goals:
            return
        generator = self.make(goals=GOALS)
        for sign in (1, -1, 1):
            suggestions = generator.ask(5)
            assert len(suggestions) == 5
            metrics = {"gain": sign * value, "cost": -sign * value}
            generator.tell([Observation(one.params, value, metrics=metrics) for one in suggestions])

    # ---- bad input

    @pytest.mark.parametrize("n", [0, -1, 1.0, True, "3", None])
    def test_how_many_must_be_a_positive_whole_number(self, n: Any) -> None:
        generator = self.make()
        with pytest.raises(UsageError, match="must be a whole number of at least 1"):
            generator.ask(n)
        assert generator.n_asked == 0

    @pytest.mark.parametrize(
        "wrong",
        [
            {"finished": None},
            {"finished": Observation(SMALL.defaults(), 1.0)},
            {"finished": [Observation(SMALL.defaults(), 1.0), SMALL.defaults()]},
            {"finished": [Observation(SMALL.defaults(), 1.0)], "pending": None},
            {"finished": [Observation(SMALL.defaults(), 1.0)], "pending": SMALL.defaults()},
            {"finished": [], "pending": [Suggestion(SMALL.defaults(), "random")]},
        ],
    )
    def test_what_is_told_must_be_lists_and_else_nothing_is_added(self, wrong: dict[str, Any]) -> None:
        generator = self.make(SMALL)
        with pytest.raises(
            UsageError, match=r"must be a list of (Observations|configurations), but"
        ) as caught:
            generator.tell(**wrong)
        assert caught.value.remedy.startswith("tell(")
        assert len(generator.ask(40)) == SMALL.size()

    # ---- copies, threads and interrupts

    def test_a_copy_goes_on_as_it_would(self) -> None:
        generator, _, _ = self.grown()
        copies = pickle.loads(pickle.dumps(generator)), copy.deepcopy(generator)
        expected = keys(generator.ask(2))
        assert [keys(each.ask(2)) for each in copies] == [expected] * 2

    def test_threads_that_share_it_take_turns(self, monkeypatch: pytest.MonkeyPatch) -> None:
        generator: Any = self.make(SMALL)
        free: list[bool] = []
        for owner, name in ((generator, "_next"), (generator.history, "tell")):
            monkeypatch.setattr(owner, name, looking_first(free, getattr(owner, name)))
        generator.tell([Observation(SMALL.defaults(), 1.0)])
        generator.ask(2)
        assert free == [False] * 3

    def test_what_was_asked_when_an_interrupt_came_is_not_taken_for_asked(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        generator: Any = self.make(SMALL)
        own_next = generator._next

        def interrupted() -> Any:
            if generator.n_asked == 2:
                raise KeyboardInterrupt
            return own_next()

        with monkeypatch.context() as patched:
            patched.setattr(generator, "_next", interrupted)
            with pytest.raises(KeyboardInterrupt):
                generator.ask(5)
        assert generator.n_asked == 0
        assert keys(generator.ask(5)) == keys(self.make(SMALL).ask(5))

    def test_an_unknown_option_is_refused(self) -> None:
        with pytest.raises(UsageError, match=f"Unknown option 'radios' of method '{self.method}'"):
            self.make(radios=0.2)
