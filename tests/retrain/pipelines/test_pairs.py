from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrain.pipelines import pairs as module
from retrain.pipelines.pairs import Pairs
from tuner.errors import DataError

ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(-2, 2)), max_size=30)


def by_hand(rows: Sequence[tuple[int, int, int]]) -> dict[int, tuple[float, int]]:
    """Rightly ranked pairs, and all, of each user: as the definition says, pair by pair."""
    found: dict[int, tuple[float, int]] = {}
    for (u, r, s), (v, q, t) in combinations(rows, 2):
        if u == v and r != q:
            right, n = found.get(u, (0.0, 0))
            found[u] = (right + (0.5 if s == t else float((s > t) == (r > q))), n + 1)
    return found


@given(ROWS)
def test_pairs_are_counted_as_the_definition_says(rows: list[tuple[int, int, int]]) -> None:
    users, ratings, scores = (np.array([row[i] for row in rows]) for i in range(3))
    found, wanted = Pairs.of(users.astype(int), ratings), by_hand(rows)
    assert found.n_users == len(wanted)
    assert len(found.better) == sum(n for _, n in wanted.values())
    if not wanted:
        return
    shares = [right / n for _, (right, n) in sorted(wanted.items())]
    assert found.accuracies(scores.astype(float)) == pytest.approx(shares)
    metrics = found.metrics(scores.astype(float))
    assert metrics["pairwise_accuracy"] == pytest.approx(np.mean(shares)), "users count alike"
    pooled = sum(right for right, _ in wanted.values()) / sum(n for _, n in wanted.values())
    assert metrics["pooled_pairwise_accuracy"] == pytest.approx(pooled)


def test_users_that_are_left_out_count_for_nothing() -> None:
    pairs = Pairs.of(np.array([0, 0, 1, 1]), np.array([1, 2, 1, 2]))
    scores = np.array([0.0, 1.0, 1.0, 0.0])
    assert pairs.metrics(scores)["pairwise_accuracy"] == 0.5
    assert pairs.metrics(scores, np.array([False, True]))["pairwise_accuracy"] == 1.0


def test_blocks_are_of_whole_users_and_about_equal() -> None:
    pairs = Pairs.of(np.repeat(np.arange(50), 2), np.tile([1, 2], 50))
    assert sorted(np.bincount(pairs.deal_blocks(20, 0))) == [2] * 10 + [3] * 10
    assert np.bincount(pairs.deal_blocks(80, 0)).tolist() == [1] * 50
    assert (pairs.deal_blocks(20, 0) == pairs.deal_blocks(20, 0)).all()


def test_more_pairs_than_memory_should_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAIRS", 5)
    assert len(Pairs.of(np.zeros(3, int), np.arange(3)).better) == 3
    with pytest.raises(DataError, match="at most 5 pairs"):
        Pairs.of(np.zeros(4, int), np.arange(4))
