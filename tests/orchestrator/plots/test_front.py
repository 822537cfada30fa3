"""The Pareto front: what is gathered, and what is drawn of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from orchestrator.plots import plot
from orchestrator.plots.front import Front, draw, prepare
from orchestrator.plots.rows import gather
from tests.orchestrator.plots.test_plot import assert_is_picture
from tests.retrain.story import TODAY
from tuner.errors import NotFoundError
from tuner.experiment import Direction, Evaluation, Params, Study, Suggestion
from tuner.goals import Goals, Limit, Objective
from tuner.registry import StudySpec, open_registry
from tuner.registry.base import Registry
from tuner.space import FloatParam, SearchSpace

MORE, LESS = Direction.MAXIMIZE, Direction.MINIMIZE
SPACE = SearchSpace([FloatParam("x", 0.0, 1.0, default=0.0)])


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with open_registry(tmp_path / "x.db", create=True) as registry:
        yield registry


def tell(
    registry: Registry, directions: Sequence[Direction], rows: Sequence[Sequence[float]], *limits: Limit
) -> Study:
    """A study of the metrics `auc`, `kb`, `ms`; its experiments have x = 0.0, 0.01, ... in their order."""
    names = ("auc", "kb", "ms")[: len(directions)]
    further = tuple(Objective(*each) for each in zip(names[1:], directions[1:], strict=True))
    goals = Goals(further, limits)
    spec = StudySpec("some", SPACE.to_dict(), "auc", directions[0], SPACE.defaults(), goals=goals)
    study = registry.open_study(spec)
    for i, (value, *others) in enumerate(rows):
        registry.add(study, [Suggestion({"x": i / 100}, "random")])
        (claim,) = registry.claim(study)
        metrics = dict(zip(names[1:], others, strict=False))
        registry.complete(claim, Evaluation(value, metrics=metrics), TODAY)
    return study


def prepared(registry: Registry, study: Study, deployed: Params | None = None) -> Front:
    return prepare(gather(registry, study), registry.front(study), deployed)


ROWS = ((0.80, 50.0), (0.90, 90.0), (0.70, 60.0), (0.85, 70.0), (0.99, 10.0))


def test_the_front_is_numbered_as_in_the_summary_and_what_breaks_a_limit_is_not_on_it(
    registry: Registry,
) -> None:
    study = tell(registry, (MORE, LESS), ROWS, Limit("kb", min=20.0))
    data = prepared(registry, study, {"x": 0.03})
    assert [(each.rank, each.values) for each in data.front] == [
        (1, (0.90, 90.0)),
        (2, (0.85, 70.0)),
        (3, (0.80, 50.0)),
    ]
    assert [each.values for each in data.marks if not each.feasible] == [(0.99, 10.0)]
    assert (data.baseline, data.deployed) == ((0.80, 50.0), (0.85, 70.0))
    assert [each.label for each in data.axes] == ["auc (higher is better)", "kb (lower is better)"]
    assert data.note == "5 complete; numbers as in orchestrator --summary"
    assert "kb = 90" in data.front[0].tip


@pytest.mark.parametrize(
    ("directions", "rows", "steps"),
    [
        ((MORE, LESS), [(1, 1), (2, 3), (0, 3)], [(1, "worst"), (1, 1), (3, 1), (3, 2), ("worst", 2)]),
        ((LESS, LESS), [(3, 1), (1, 3), (3, 3)], [(1, "worst"), (1, 3), (3, 3), (3, 1), ("worst", 1)]),
        ((MORE, MORE), [(3, 1), (1, 3), (0, 0)], [("worst", 3), (1, 3), (1, 1), (3, 1), (3, "worst")]),
        ((LESS, MORE), [(1, 1), (3, 3), (3, 0)], [("worst", 1), (1, 1), (1, 3), (3, 3), (3, "worst")]),
    ],
)
def test_the_stairs_part_what_was_reached_from_what_was_not(
    registry: Registry,
    directions: Sequence[Direction],
    rows: Sequence[Sequence[float]],
    steps: Sequence[tuple[object, object]],
) -> None:
    """Over the further objective: with so much of it at least, or at most, this was reached."""
    data = prepared(registry, tell(registry, directions, rows))
    across, up = data.axes[1], data.axes[0]
    worst = [each.span[0] if each.sign > 0 else each.span[1] for each in (across, up)]
    wanted = [(worst[0] if x == "worst" else x, worst[1] if y == "worst" else y) for x, y in steps]
    assert data.stairs(1, 0) == wanted


def test_two_objectives_are_one_field_and_three_one_for_each_pair(registry: Registry) -> None:
    study = tell(registry, (MORE, LESS, LESS), [(0.8, 50.0, 1.0), (0.9, 90.0, 3.0), (0.7, 60.0, 2.0)])
    fields = [axes for axes in draw(prepared(registry, study)).figure.axes if axes.collections]
    assert [(axes.get_xlabel(), axes.get_ylabel()) for axes in fields] == [
        ("", "kb\n(lower is better)"),
        ("auc (higher is better)", "ms\n(lower is better)"),
        ("kb (lower is better)", ""),
    ]
    assert not any(axes.lines for axes in fields)


def test_outliers_stand_at_the_edge_and_the_front_inside(registry: Registry) -> None:
    rows = [(0.8 + i / 1000, 50.0 + i) for i in range(30)]
    data = prepared(registry, tell(registry, (MORE, LESS), [*rows, (-9.0, 60.0), (0.7, 1e6)]))
    assert data.note == "32 complete; 2 worse than the scale stand at its edge"
    (axes,) = draw(data).figure.axes
    for marks in axes.collections:
        at = np.array(marks.get_offsets())
        assert (at[:, 0] <= axes.get_xlim()[1]).all()
        assert (at[:, 1] >= axes.get_ylim()[0]).all()
    assert len(data.front) == 30
    assert all(data.axes[i].span.holds(each.values[i]) for each in data.front for i in (0, 1))


@pytest.mark.parametrize("suffix", ["png", "svg", "html"])
def test_it_is_drawn_in_every_format(registry: Registry, tmp_path: Path, suffix: str) -> None:
    study = tell(registry, (MORE, LESS), ROWS, Limit("kb", min=20.0))
    path = plot(registry, study, "front", tmp_path / f"x.{suffix}", pipeline="x", deployed={"x": 0.03})
    assert_is_picture(path)


@pytest.mark.parametrize("n", [1, 3])
def test_where_nothing_keeps_the_limits_there_is_no_line(registry: Registry, n: int) -> None:
    data = prepared(registry, tell(registry, (MORE, LESS), ROWS[:n], Limit("kb", max=1.0)))
    assert (data.front, data.stairs(1, 0)) == ((), [])
    assert draw(data).figure.axes


def test_without_a_value_of_each_there_is_nothing_to_plot(registry: Registry) -> None:
    study = tell(registry, (MORE, LESS), [(0.8,), (0.9,)])
    with pytest.raises(NotFoundError, match="a value of each objective"):
        prepared(registry, study)
