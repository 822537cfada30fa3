"""Each pruner by its contract, and decision by decision as Optuna's where the definition is the same."""

import warnings
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.pruner_contract import PrunerContract, curve
from tuner.errors import UsageError
from tuner.pruners import PRUNERS, Curve, Pruner, make_pruner, options_of
from tuner.pruners.hyperband import HyperbandPruner
from tuner.pruners.median import MedianPruner
from tuner.pruners.none import NonePruner
from tuner.pruners.ranking import n_better, ranks
from tuner.pruners.successive_halving import SuccessiveHalvingPruner
from tuner.pruners.wilcoxon import WilcoxonPruner

optuna = pytest.importorskip("optuna")


class TestNone(PrunerContract):
    pruner = NonePruner()


class TestSuccessiveHalving(PrunerContract):
    pruner = SuccessiveHalvingPruner()


class TestHyperband(PrunerContract):
    pruner = HyperbandPruner()


class TestMedian(PrunerContract):
    pruner = MedianPruner(startup=2)


class TestWilcoxon(PrunerContract):
    pruner = WilcoxonPruner()


# ---- beside Optuna


Losses = Sequence[Sequence[float]]
CURVES = st.lists(st.lists(st.integers(0, 30).map(float), min_size=1, max_size=9), min_size=2, max_size=14)


def decisions_here(pruner: Pruner, losses: Losses) -> list[int | None]:
    """One experiment after another: at which step each is pruned."""
    known: list[Curve] = []
    stops: list[int | None] = []
    for number, each in enumerate(losses):
        stop = None
        own = curve(number)
        for n in range(1, len(each) + 1):
            own = curve(number, *each[:n])
            if pruner.should_prune(own, known):
                stop = n
                break
        known.append(curve(number, *each[: len(own.steps)], complete=stop is None))
        stops.append(stop)
    return stops


def decisions_of_optuna(pruner: Any, losses: Losses) -> list[int | None]:
    study = optuna.create_study(pruner=pruner, study_name="s")
    stops: list[int | None] = []
    for each in losses:
        trial = study.ask()
        stop = None
        for step, loss in enumerate(each, 1):
            trial.report(loss, step)
            if trial.should_prune():
                stop = step
                break
        if stop is None:
            study.tell(trial, sum(each) / len(each))
        else:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        stops.append(stop)
    return stops


@settings(max_examples=25, deadline=None)
@given(CURVES, st.integers(1, 3), st.integers(2, 4), st.integers(0, 1))
def test_successive_halving_decides_as_optuna_does(
    losses: Losses, grace: int, factor: int, first_rung: int
) -> None:
    ours = SuccessiveHalvingPruner(grace, factor, first_rung=first_rung)
    theirs = optuna.pruners.SuccessiveHalvingPruner(grace, factor, first_rung)
    assert decisions_here(ours, losses) == decisions_of_optuna(theirs, losses)


@settings(max_examples=25, deadline=None)
@given(CURVES, st.integers(0, 3), st.integers(1, 5))
def test_the_median_decides_as_optuna_does(losses: Losses, grace: int, startup: int) -> None:
    theirs = optuna.pruners.MedianPruner(startup, grace)
    assert decisions_here(MedianPruner(grace, startup), losses) == decisions_of_optuna(theirs, losses)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.floats(0.0, 1.0, allow_nan=False), min_size=7, max_size=7), min_size=2, max_size=6)
)
def test_wilcoxon_decides_as_optuna_does(losses: Losses) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        theirs = optuna.pruners.WilcoxonPruner(p_threshold=0.1, n_startup_steps=2)
    assert decisions_here(WilcoxonPruner(), losses) == decisions_of_optuna(theirs, losses)


# ---- what each is about


def test_one_in_three_goes_on_at_each_rung() -> None:
    pruner = SuccessiveHalvingPruner(grace=2, reduction_factor=3, max_steps=18)
    others = [curve(n, 9.0, float(n), complete=False) for n in range(1, 9)]
    assert not pruner.should_prune(curve(0, 9.0, 2.5), others)  # third of nine
    assert pruner.should_prune(curve(0, 9.0, 3.5), others)  # fourth
    assert not pruner.should_prune(curve(0, 99.0), others), "before the first rung"
    assert not pruner.should_prune(curve(0, 0.0, 0.0, 99.0), others), "between two rungs"


def test_a_rung_that_is_jumped_over_is_decided_by_the_report_behind_it() -> None:
    pruner = SuccessiveHalvingPruner(grace=2)
    others = [Curve(n, (3,), ((float(n),),)) for n in range(1, 6)]
    assert pruner.should_prune(Curve(0, (1, 3), ((0.0,), (3.0,))), others)


def test_few_steps_can_all_be_rungs() -> None:
    pruner = SuccessiveHalvingPruner(grace=2, reduction_factor=2, every_step=True)
    others = [curve(n, *[float(n)] * 5, complete=False) for n in range(1, 4)]
    for step in (2, 3, 4, 5):
        own = [0.0] * (step - 1)
        assert not pruner.should_prune(curve(0, *own, 1.5), others), "second of four"
        assert pruner.should_prune(curve(0, *own, 2.5), others), "third"
        assert not pruner.should_prune(curve(0, *own, 1.5), others[:2]), "of three two go on"
    assert not pruner.should_prune(curve(0, 9.0), others), "before the first"
    seldom = SuccessiveHalvingPruner(grace=2, reduction_factor=2)
    assert not seldom.should_prune(curve(0, 0.0, 0.0, 9.0), others), "3 is between two rungs otherwise"


def test_at_its_end_nothing_is_pruned() -> None:
    others = [curve(n, *[0.0] * 9) for n in range(1, 9)]
    assert SuccessiveHalvingPruner(max_steps=4).should_prune(curve(0, 9, 9, 9), others)
    assert not SuccessiveHalvingPruner(max_steps=3).should_prune(curve(0, 9, 9, 9), others)


def test_hyperband_keeps_its_brackets_apart() -> None:
    pruner = HyperbandPruner(grace=1, reduction_factor=3, max_steps=27)
    brackets = [pruner.bracket(number, 4) for number in range(4_000)]
    assert set(brackets) == {0, 1, 2, 3}
    # Sizes 27, 12, 6, 4 of 49 (Li et al. 2018, algorithm 1, line 3).
    shares = [brackets.count(each) / 4_000 for each in range(4)]
    assert shares == pytest.approx([27 / 49, 12 / 49, 6 / 49, 4 / 49], abs=0.03)
    late = brackets.index(3)
    good = [curve(number, *[0.0] * 9) for number in range(200) if number != late]
    assert not pruner.should_prune(curve(late, *[9.0] * 9), good), "its first rung is 27"
    early = brackets.index(0)
    assert pruner.should_prune(curve(early, 9.0), [each for each in good if each.number != early])


def test_hyperband_waits_for_the_first_end_where_nobody_says_how_long_one_takes() -> None:
    pruner = HyperbandPruner()
    running = [curve(number, *[0.0] * 9) for number in range(1, 99)]
    assert not pruner.should_prune(curve(0, 9.0), running)
    assert pruner.should_prune(curve(0, 9.0), [*running, curve(99, *[0.0] * 9, complete=True)])


def test_the_median_waits_for_enough_that_are_complete() -> None:
    pruner = MedianPruner(grace=1, startup=3)
    done = [curve(n, 0.0, 0.0, complete=True) for n in (1, 2)]
    pruned = [curve(n, 0.0) for n in (3, 4, 5)]
    assert not pruner.should_prune(curve(0, 1.0), [*done, *pruned])
    assert pruner.should_prune(curve(0, 1.0), [*done, curve(6, 0.0, 0.0, complete=True)])


def test_wilcoxon_pairs_the_same_folds() -> None:
    best = Curve(1, (0, 1, 2, 3, 4), ((1.0,), (5.0,), (2.0,), (9.0,), (9.0,)), complete=True)
    slightly = [(x + 0.01,) for (x,) in best.losses]
    pruner = WilcoxonPruner()
    assert not pruner.should_prune(Curve(0, (0, 1, 2), tuple(slightly[:3])), [best]), "p = 1/8"
    assert not pruner.should_prune(Curve(0, (0, 1, 2, 3), tuple(slightly[:4])), [best]), "mean not worse"
    worse = [(x + 2.0,) for (x,) in best.losses]
    assert pruner.should_prune(Curve(0, (0, 1, 2, 3), tuple(worse[:4])), [best]), "p = 1/16"


def test_ranks_are_those_of_the_fronts() -> None:
    assert ranks([(3.0,), (1.0,), (3.0,), (2.0,)]) == [2, 0, 2, 1]
    losses = [(0.0, 2.0), (2.0, 0.0), (1.0, 1.0), (2.0, 2.0), (3.0, 3.0), (1.0, 1.0), (0.0, 3.0)]
    assert ranks(losses) == [0, 0, 0, 1, 2, 0, 1]
    assert n_better((2.0, 2.0), losses) == 4
    assert n_better((0.0, 0.0), losses) == 0


# ---- bad options


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("ahsa", {}, "Did you mean 'asha'"),
        ("asha", {"grase": 1}, "Did you mean 'grace'"),
        ("none", {"grace": 1}, "takes no options"),
        ("asha", {"grace": 0}, "`grace`"),
        ("asha", {"reduction_factor": 1}, "`reduction_factor`"),
        ("asha", {"reduction_factor": float("nan")}, "`reduction_factor`"),
        ("asha", {"every_step": "no"}, "`every_step` must be True or False, but got 'no'"),
        ("asha", {"every_step": 1}, "`every_step`"),
        ("hyperband", {"max_steps": 0}, "`max_steps`"),
        ("median", {"startup": True}, "`startup`"),
        ("wilcoxon", {"p_threshold": 0.7}, "`p_threshold`"),
        ("wilcoxon", {"p_threshold": "0.1"}, "`p_threshold`"),
        ("wilcoxon", {"grace": 1}, "`grace`"),
    ],
)
def test_a_bad_option_is_named(name: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_pruner(name, **options)
    assert words in f"{caught.value} {caught.value.remedy}"


def test_every_pruner_is_called_as_it_calls_itself() -> None:
    assert [make_pruner(name).name for name in PRUNERS] == list(PRUNERS)
    assert options_of("median") == ("grace", "startup")


@pytest.mark.parametrize(
    ("steps", "losses"), [((1, 1), ((0.0,), (0.0,))), ((2, 1), ((0.0,), (0.0,))), ((1,), ())]
)
def test_a_curve_goes_forward(steps: tuple[int, ...], losses: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(ValueError, match="steps"):
        Curve(0, steps, losses)
