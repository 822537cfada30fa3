"""What every Pruner keeps. An implementation's test file subclasses `PrunerContract` and builds it."""

import pickle
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuner.pruners import Curve, Pruner

PROPERTY = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.differing_executors])
LOSSES = st.integers(-20, 20).map(float)


def curve(number: int, *losses: float, complete: bool = False, first: int = 1) -> Curve:
    """One that reported these losses at `first` and the steps after it."""
    return Curve(
        number, tuple(range(first, first + len(losses))), tuple((each,) for each in losses), complete
    )


def worsened(own: Curve, by: float) -> Curve:
    return Curve(own.number, own.steps, tuple(tuple(x + by for x in each) for each in own.losses))


@st.composite
def studies(draw: st.DrawFn, n_objectives: int = 1) -> tuple[Curve, list[Curve]]:
    """A running experiment that has reported, and others of the same study."""
    n_steps = draw(st.integers(1, 9))
    vectors = st.tuples(*[LOSSES] * n_objectives)

    def one(number: int, least: int) -> Curve:
        n = draw(st.integers(least, n_steps))
        losses = tuple(draw(st.lists(vectors, min_size=n, max_size=n)))
        return Curve(number, tuple(range(1, n + 1)), losses, complete=number > 0 and n == n_steps)

    return one(0, 1), [one(number, 0) for number in range(1, draw(st.integers(1, 12)) + 1)]


class PrunerContract:
    """Subclass it with a `pruner` that prunes what is hopeless by the ninth step."""

    pruner: Pruner

    @PROPERTY
    @given(studies(), st.randoms(use_true_random=False))
    def test_the_answer_follows_from_the_curves_alone(
        self, study: tuple[Curve, list[Curve]], random: object
    ) -> None:
        own, others = study
        said = self.pruner.should_prune(own, others)
        assert type(said) is bool
        shuffled = list(others)
        random.shuffle(shuffled)  # type: ignore[attr-defined]
        assert self.pruner.should_prune(own, shuffled) is said
        assert pickle.loads(pickle.dumps(self.pruner)).should_prune(own, others) is said

    @PROPERTY
    @given(studies())
    def test_nothing_is_pruned_alone_or_before_it_reported(self, study: tuple[Curve, list[Curve]]) -> None:
        own, others = study
        assert not self.pruner.should_prune(own, [])
        assert not self.pruner.should_prune(Curve(0, (), ()), others)

    @PROPERTY
    @given(studies())
    def test_what_is_best_at_every_step_goes_on(self, study: tuple[Curve, list[Curve]]) -> None:
        own, others = study
        assert not self.pruner.should_prune(worsened(own, -50.0), others)

    @PROPERTY
    @given(studies(), st.integers(1, 50))
    def test_what_is_worse_has_no_better_chance(self, study: tuple[Curve, list[Curve]], by: int) -> None:
        own, others = study
        if self.pruner.should_prune(own, others):
            assert self.pruner.should_prune(worsened(own, float(by)), others)

    @PROPERTY
    @given(studies(n_objectives=2))
    def test_of_several_objectives_what_nobody_dominates_goes_on(
        self, study: tuple[Curve, list[Curve]]
    ) -> None:
        own, others = study
        alone = Curve(0, own.steps, tuple((each[0] - 50.0, each[1]) for each in own.losses))
        assert not self.pruner.should_prune(alone, others)

    def test_what_is_hopeless_is_pruned_in_time(self) -> None:
        if self.pruner.name == "none":
            return
        good = [curve(n, *(float(n) for _ in range(9)), complete=True) for n in range(1, 40)]
        assert _pruned_at(self.pruner, [[100.0]] * 9, good) is not None
        twice = [Curve(each.number, each.steps, tuple(x * 2 for x in each.losses), True) for each in good]
        assert _pruned_at(self.pruner, [[100.0, 100.0]] * 9, twice) is not None


def _pruned_at(pruner: Pruner, losses: Sequence[Sequence[float]], others: Sequence[Curve]) -> int | None:
    for n in range(1, len(losses) + 1):
        own = Curve(0, tuple(range(1, n + 1)), tuple(tuple(each) for each in losses[:n]))
        if pruner.should_prune(own, others):
            return n
    return None
