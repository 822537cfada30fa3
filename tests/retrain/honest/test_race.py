from dataclasses import replace

import numpy as np
import pytest

from retrain.honest import Race, confirmed, find_winner, next_runs, standing
from tests.retrain.honest.worlds import Run, World, run, value_of
from tuner.experiment import Direction

UP, DOWN = Direction.MAXIMIZE, Direction.MINIMIZE
SEEDS = (11, 12, 13, 14, 15)


def series(level: float, n: int, spread: float = 0.01) -> list[Run]:
    """Repeats whose folds lie around a level; what moves from one to the next differs between levels."""
    rng = np.random.default_rng(int(level * 1000))
    drawn = [level + spread * rng.normal(size=5) for _ in SEEDS]
    return [run(seed, *map(float, folds)) for seed, folds in zip(SEEDS[:n], drawn, strict=False)]


def race_of(*, n: int, direction: Direction = UP, **levels: float) -> Race:
    repeats = {name: series(level, n) for name, level in levels.items()}
    candidates = tuple(name for name in levels if name != "base")
    references = ("base",) if "base" in levels else ()
    return Race(candidates, SEEDS, direction, repeats, references)


def test_a_race_starts_with_the_first_seed_for_everybody() -> None:
    runs = next_runs(Race(("a", "b"), SEEDS, UP, references=("base",)))
    assert runs[:4] == [("a", 11), ("b", 11), ("base", 11), ("a", 12)]
    assert len(runs) == 15


def test_what_was_run_is_not_run_again() -> None:
    race = Race(("a", "b"), SEEDS, UP, {"a": series(0.5, 2), "b": series(0.5, 1)})
    assert next_runs(race)[:2] == [("b", 12), ("a", 13)]


def test_nobody_is_stopped_after_one_repeat() -> None:
    now = standing(race_of(n=1, a=0.9, b=0.1))
    assert (now.rounds, now.alive, now.stopped) == (1, ("a", "b"), ())


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_a_clear_loser_stops_and_says_why(direction: Direction) -> None:
    levels = {"a": 0.9, "b": 0.2, "c": 0.899} if direction is UP else {"a": 0.1, "b": 0.8, "c": 0.101}
    race = race_of(n=2, direction=direction, **levels)
    now = standing(race)
    assert now.alive == ("a", "c")
    (loser,) = now.stopped
    assert (loser.candidate, loser.after) == ("b", 2)
    assert loser.gap > loser.reach > 0
    assert "b" not in {name for name, _ in next_runs(race)}


def test_references_run_to_the_end_however_bad_they_are() -> None:
    race = race_of(n=2, a=0.9, b=0.899, base=0.1)
    assert ("base", 15) in next_runs(race)
    assert standing(race).stopped == ()


def test_a_reference_that_is_a_candidate_too_is_never_stopped_and_may_win() -> None:
    race = replace(race_of(n=5, a=0.2, b=0.9), references=("a",))
    assert standing(race).alive == ("a", "b")
    assert find_winner(replace(race_of(n=5, a=0.9, b=0.2), references=("a",))) == "a"


def test_a_race_ends_when_all_that_are_in_have_all_repeats() -> None:
    race = race_of(n=5, a=0.9, b=0.2, base=0.5)
    assert standing(race).over
    assert next_runs(race) == []
    assert find_winner(race) == "a"


def test_a_repeat_that_a_loser_had_begun_changes_nothing() -> None:
    race = race_of(n=5, a=0.9, b=0.2, c=0.899)
    early = replace(race, repeats={**race.repeats, "b": series(0.2, 2)})
    assert standing(race) == standing(early)
    assert find_winner(race) == find_winner(early)


def test_the_order_of_arrival_changes_nothing() -> None:
    race = race_of(n=4, a=0.9, b=0.2, c=0.899, base=0.5)
    shuffled = replace(race, repeats={name: runs[::-1] for name, runs in [*race.repeats.items()][::-1]})
    assert standing(race) == standing(shuffled)
    assert next_runs(race) == next_runs(shuffled)


def test_who_failed_is_out() -> None:
    race = replace(race_of(n=5, a=0.9, b=0.8, base=0.5), failed={"a"})
    assert find_winner(race) == "b"
    everybody = replace(race, failed={"a", "b"})
    assert find_winner(everybody) is None
    assert next_runs(everybody) == []
    unreferenced = replace(race_of(n=1, a=0.9, base=0.5), failed={"base"})
    assert "base" not in {name for name, _ in next_runs(unreferenced)}


def test_pipelines_that_the_seed_does_not_change_are_run_twice() -> None:
    repeats = {name: [run(seed, x, x + 0.1) for seed in SEEDS[:2]] for name, x in (("a", 0.5), ("b", 0.6))}
    race = Race(("a", "b"), SEEDS, UP, repeats)
    assert standing(race).over
    assert next_runs(race) == []
    assert find_winner(race) == "b"


def test_equal_differences_by_chance_stop_nobody() -> None:
    # Few rows make few distinct scores: two repeats may well differ by the same amount.
    repeats = {"a": [run(11, 0.8, 0.6), run(12, 0.7, 0.6)], "b": [run(11, 0.7, 0.6), run(12, 0.6, 0.6)]}
    assert standing(Race(("a", "b"), SEEDS, UP, repeats)).alive == ("a", "b")


def test_without_folds_too() -> None:
    repeats = {
        name: [value_of(each.seed, each.value) for each in series(level, 4)]
        for name, level in (("a", 0.9), ("b", 0.5), ("c", 0.899))
    }
    race = Race(("a", "b", "c"), SEEDS, UP, repeats)
    assert standing(race).alive == ("a", "c")


def test_the_winner_has_the_best_bound_and_not_the_best_mean() -> None:
    lucky = [run(seed, 0.5, 0.7, 0.9, 1.0) for seed in SEEDS[:1]]
    sure = [run(seed, 0.74, 0.75, 0.75, 0.76) for seed in SEEDS[:1]]
    assert find_winner(Race(("lucky", "sure"), SEEDS, UP, {"lucky": lucky, "sure": sure})) == "sure"


def test_a_tie_goes_to_the_earlier() -> None:
    same = series(0.5, 5)
    assert find_winner(Race(("b", "a"), SEEDS, UP, {"a": same, "b": same})) == "b"
    assert find_winner(Race(("a", "b"), SEEDS, DOWN, {"a": same, "b": same})) == "a"


def test_before_the_first_round_is_whole_nobody_wins() -> None:
    assert find_winner(Race(("a", "b"), SEEDS, UP, {"a": series(0.5, 5)})) is None


@pytest.mark.parametrize("name", ["candidates", "seeds", "references"])
def test_what_is_named_twice_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        replace(Race(("a",), SEEDS, UP), **{name: ("x", "x")})  # type: ignore[arg-type]


EQUAL, SPREAD = np.zeros(5), np.linspace(0, -1, 5)


@pytest.mark.parametrize(
    ("truth", "own", "fold_noise", "seed_noise"),
    [
        (EQUAL, 1.0, 0.1, 0.0),
        (EQUAL, 0.1, 0.2, 0.0),
        (EQUAL, 0.01, 0.05, 0.1),
        (SPREAD, 0.3, 0.2, 0.05),
    ],
    ids=["rows", "folds", "seeds", "spread"],
)
def test_who_would_have_won_is_rarely_stopped(
    truth: np.ndarray, own: float, fold_noise: float, seed_noise: float
) -> None:
    """At most 5 of 100 races; here fewer, since the correction for looks and rivals is a cautious one.

    300 races of five. A procedure that stops the winner in just 5 % fails above 26 with probability 0.3 %.
    """
    rng = np.random.default_rng(30)
    wrong = 0
    for _ in range(300):
        world = World(rng, truth, own=own, fold_noise=fold_noise, seed_noise=seed_noise)
        repeats = dict(zip("abcde", world.repeats(5), strict=True))
        race = Race(tuple("abcde"), (0, 1, 2, 3, 4), UP, repeats)
        best = max(repeats, key=lambda each: confirmed(repeats[each], UP).bound)
        wrong += best not in standing(race).alive
    assert wrong <= 26


def test_clear_losers_save_a_third_of_the_runs() -> None:
    """Of five whose scores lie a quarter of a deviation of a row apart; the caution above is not inaction."""
    rng = np.random.default_rng(31)
    saved = 0
    for _ in range(50):
        repeats = dict(zip("abcde", World(rng, SPREAD, own=0.3, fold_noise=0.1).repeats(5), strict=True))
        now = standing(Race(tuple("abcde"), (0, 1, 2, 3, 4), UP, repeats))
        saved += sum(5 - loser.after for loser in now.stopped)
    assert saved >= 50 * 25 / 3
