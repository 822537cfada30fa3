"""What each picture shows, as data: without matplotlib."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.plots import convergence, importance, learning_curves, parallel, slices, tuned
from orchestrator.plots.rows import Point, gather, shortened, thinned
from orchestrator.plots.scale import INACTIVE, Scale
from orchestrator.plots.span import span_of
from orchestrator.report import summarize
from tests.retrain.story import BASE, TODAY, Story, better
from tuner.errors import NotFoundError
from tuner.experiment import Direction, Evaluation, Measurement, Outcome, Suggestion
from tuner.goals import Goals, Limit, Objective
from tuner.insight import Importance, Insight
from tuner.registry import StudySpec, open_registry
from tuner.space import FloatParam, SearchSpace


def values(*pairs: tuple[int, float]) -> list[tuple[int, float]]:
    return [(order, pytest.approx(value)) for order, value in pairs]  # type: ignore[misc]


class TestRows:
    def test_only_what_can_be_compared_is_complete(self, told: Story) -> None:
        rows = gather(told.registry, told.study)
        assert [each.order for each in rows.complete] == [1, 2, 3, 7]
        assert [each.experiment.outcome for each in rows.failed] == [
            Outcome.ERROR,
            Outcome.ERROR,
            Outcome.TIMEOUT,
        ]
        assert rows.note == "4 complete, 3 failed, 1 of other data, code or metric left out"
        assert rows.best is rows.complete[-1]
        assert rows.baseline is rows.complete[0]

    def test_what_a_user_cancelled_did_not_fail(self, story: Story) -> None:
        story.scored(BASE, "default")
        story.registry.cancel([story.write(max_depth=3)], "no use")
        assert gather(story.registry, story.study).failed == ()

    def test_nothing_complete_is_nothing_to_plot(self, story: Story) -> None:
        story.failed("no")
        with pytest.raises(NotFoundError, match=r"nothing to plot yet.*'breast'") as raised:
            gather(story.registry, story.study)
        assert raised.value.exit_code == 6

    def test_a_tip_names_experiment_score_and_parameters(self, told: Story) -> None:
        tip = gather(told.registry, told.study).complete[-1].tip
        assert "bayesian_20261121" in tip
        assert "0.934" in tip
        assert "booster = dart" in tip

    def test_thinned_keeps_the_best_and_the_order(self, told: Story) -> None:
        row = gather(told.registry, told.study).complete[0].experiment
        points = [Point(order, row) for order in range(1, 101)]
        chosen = thinned(points, 10, 1)
        assert len(chosen) == 10
        assert chosen == sorted(chosen, key=lambda each: each.order)
        assert thinned(points, 100, 1) == points

    def test_thinned_keeps_the_complete_before_what_was_pruned_or_failed(self, story: Story) -> None:
        for rate in (0.2, 0.3, 0.4):
            story.pruned([0.99], learning_rate=rate)
        story.scored(BASE, "default")
        story.failed("no", max_depth=3)
        rows = gather(story.registry, story.study)
        mixed = sorted([*rows.scored, *rows.failed], key=lambda each: each.order)
        assert rows.complete[0] in thinned(mixed, 2, 1)
        assert rows.complete[0] in thinned(mixed, 2, -1)

    def test_names_are_cut_in_the_middle(self) -> None:
        name = shortened("root_mean_squared_error_of_the_test")
        assert len(name) == 28
        assert name.startswith("root_mean")
        assert name.endswith("the_test")
        assert shortened("a\x1bb") == "a\\x1bb"


class TestSpan:
    def test_few_bad_values_do_not_flatten_the_others(self) -> None:
        good = [0.8 + i / 1000 for i in range(30)]
        low, high = span_of([*good, -5.0], 1)
        assert 0.7 < low < 0.8 < 0.829 < high < 0.9
        low, high = span_of([-x for x in [*good, -5.0]], -1)
        assert -0.9 < low < -0.829
        assert -0.8 < high < -0.7

    def test_few_values_are_all_shown(self) -> None:
        assert span_of([0.8, 0.9, -5.0], 1)[0] < -5

    def test_the_baseline_is_shown_however_bad(self) -> None:
        assert span_of([0.8 + i / 1000 for i in range(30)], 1, [0.1])[0] < 0.1

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40),
        st.sampled_from([-1, 1]),
    )
    def test_it_is_finite_and_holds_the_best(self, numbers: list[float], sign: int) -> None:
        span = span_of(numbers, sign)
        assert all(map(math.isfinite, span))
        assert span[0] < span[1]
        best = max(numbers) if sign > 0 else min(numbers)
        assert span.holds(best) or abs(best) > 1e300
        assert all(span[0] <= span.clamped(each) <= span[1] for each in numbers)


class TestScale:
    def test_log_scales_have_ticks_at_equal_ratios(self) -> None:
        scale = Scale.of({"name": "lr", "type": "float", "low": 1e-4, "high": 1.0, "log": True})
        places, texts = zip(*scale.ticks(), strict=True)
        assert places == pytest.approx((0, 0.25, 0.5, 0.75, 1))
        assert texts == ("0.0001", "0.001", "0.01", "0.1", "1")
        assert scale.place(0.01) == pytest.approx(0.5)

    def test_whole_numbers_have_whole_ticks(self) -> None:
        scale = Scale.of({"name": "n", "type": "int", "low": 1, "high": 3})
        assert [text for _, text in scale.ticks()] == ["1", "2", "3"]

    def test_choices_lie_evenly_and_are_told_apart_by_type(self) -> None:
        scale = Scale.of({"name": "flag", "type": "categorical", "choices": [True, 1, "a"]})
        assert [scale.place(each) for each in (True, 1, "a", "b", None)] == [0, 0.5, 1, INACTIVE, INACTIVE]

    def test_none_is_a_choice_and_not_there_is_none_of_them(self) -> None:
        scale = Scale.of({"name": "c", "type": "categorical", "choices": [None, "balanced"]})
        assert scale.place_in({"c": None}) == 0
        assert scale.place_in({"c": "balanced"}) == 1
        assert scale.place_in({"d": 3}) == INACTIVE

    def test_many_choices_are_not_all_written(self) -> None:
        scale = Scale.of({"name": "c", "type": "categorical", "choices": list(range(100))})
        assert len(scale.ticks()) <= 14


class TestConvergence:
    def test_the_best_so_far_steps_where_it_changes_and_goes_to_the_end(self, told: Story) -> None:
        data = convergence.prepare(gather(told.registry, told.study))
        (panel,) = data.panels
        assert list(panel.best) == values((1, 0.922), (3, 0.926), (7, 0.934))
        assert panel.baseline == pytest.approx(0.922)
        assert [order for order, _, _ in panel.points] == [1, 2, 3, 7]
        assert [each.order for each in data.failed] == [4, 5, 6]
        assert panel.label == "roc_auc (higher is better)"

    def test_what_was_pruned_stands_apart_and_scales_nothing(self, story: Story) -> None:
        story.scored(BASE, "default")
        pruned = story.pruned([0.5, 0.95], max_depth=3)
        rows = gather(story.registry, story.study)
        data = convergence.prepare(rows)
        (panel,) = data.panels
        assert [(order, value) for order, value, _ in panel.points] == values((1, 0.922))
        assert not panel.span.holds(0.5)
        assert [each.order for each in data.pruned] == [2]
        figure = convergence.draw(data).figure
        assert [axes.get_ylabel() for axes in figure.axes] == ["roc_auc (higher is better)", "at step"]
        assert np.array(figure.axes[1].collections[0].get_offsets()).tolist() == [[2, 2]]
        assert list(panel.best) == values((1, 0.922), (2, 0.922))
        tip = rows.pruned[0].tip.splitlines()
        assert tip[:2] == [f"2: {pruned.public_id} (pruned)", "0.95 at step 2"]

    def test_less_may_be_better(self, tmp_path: Path) -> None:
        story = Story(tmp_path, direction=Direction.MINIMIZE, metric="rmse")
        for value in (3.0, 4.0, 2.0):
            story.scored([value], max_depth=int(value))
        (panel,) = convergence.prepare(gather(story.registry, story.study)).panels
        assert list(panel.best) == values((1, 3.0), (3, 2.0))
        assert panel.label == "rmse (lower is better)"
        story.registry.close()

    def test_several_objectives_have_their_hypervolume_and_each_its_panel(self, tmp_path: Path) -> None:
        space = SearchSpace([FloatParam("x", 0.0, 1.0)])
        goals = Goals((Objective("kb", Direction.MINIMIZE),), (Limit("ms", max=1.0),))
        spec = StudySpec("two", space.to_dict(), "auc", Direction.MAXIMIZE, space.defaults(), goals=goals)
        with open_registry(tmp_path / "x.db", create=True) as registry:
            study = registry.open_study(spec)
            for x, auc, kb, ms in ((0.1, 0.8, 50.0, 0.1), (0.2, 0.9, 90.0, 0.1), (0.3, 1.0, 1.0, 2.0)):
                registry.add(study, [Suggestion({"x": x}, "random")])
                (claim,) = registry.claim(study)
                registry.complete(claim, Evaluation(auc, metrics={"kb": kb, "ms": ms}), TODAY)
            data = convergence.prepare(gather(registry, study))
        volume, auc_panel, kb_panel = data.panels
        # Of 1.1 x 1.1: the first dominates 0.1 x 1.1 of it, the second 1.1 x 0.1, both 0.1 x 0.1 together.
        assert list(volume.best) == values((1, 0.11 / 1.21), (2, 0.21 / 1.21), (3, 0.21 / 1.21))
        assert list(auc_panel.best) == values((1, 0.8), (2, 0.9), (3, 0.9))  # the third breaks the limit
        assert list(kb_panel.best) == values((1, 50.0), (3, 50.0))
        assert kb_panel.label == "kb (lower is better)"


class TestImportance:
    def test_metrics_without_importances_are_left_out(self, story: Story) -> None:
        known = Importance("x", 0.5, 0.4, 0.6, "higher", 1.0, dead=False)
        data = importance.prepare(story.study, Insight(12, (known,), None), {"kb": Insight(3, (), None)})
        assert data.panels == (("roc_auc", 12, (known,)),)

    def test_what_is_not_known_to_matter_is_grey(self, story: Story) -> None:
        """As it is not in the table of `--summary`."""
        known = Importance("x", 0.5, 0.4, 0.6, "higher", 1.0, dead=False)
        others = (replace(known, low=0.0), replace(known, low=0.0, share=0.0, high=0.01, dead=True))
        canvas = importance.draw(
            importance.prepare(story.study, Insight(12, (known, *others), None), {}),
        )
        (axes,) = canvas.figure.axes
        colours = [bar.get_facecolor() for bar in axes.patches]
        assert len(colours) == 3
        assert colours[0] != colours[1]
        assert colours[1] == colours[2]

    @pytest.mark.parametrize("insight", [None, Insight(3, (), None)])
    def test_too_little_is_nothing_to_plot(self, story: Story, insight: Insight | None) -> None:
        with pytest.raises(NotFoundError, match="ten comparable successes"):
            importance.prepare(story.study, insight, {})


class TestParallel:
    def test_axes_are_the_parameters_and_the_metric(self, told: Story) -> None:
        data = parallel.prepare(gather(told.registry, told.study))
        assert [name for name, _ in data.axes] == [
            "learning_rate", "max_depth", "booster", "rate_drop", "roc_auc",
        ]  # fmt: skip
        assert [line.value for line in data.lines] == sorted(line.value for line in data.lines)
        assert data.best is data.lines[-1]
        assert data.best.places[:3] == pytest.approx((math.log(300) / math.log(1000), 1, 1))

    def test_the_axis_of_the_metric_ends_at_values_that_there_are(self, told: Story) -> None:
        """And not beyond them, where an accuracy would be above 1."""
        data = parallel.prepare(gather(told.registry, told.study))
        ticks = data.axes[-1][1]
        assert [ticks[0], ticks[-1]] == [(0.0, "0.902"), (1.0, "0.934")]
        assert data.best is not None
        assert data.best.places[-1] == 1.0

    def test_a_single_value_is_in_the_middle_of_its_axis(self, story: Story) -> None:
        story.scored(BASE, "default")
        data = parallel.prepare(gather(story.registry, story.study))
        assert data.axes[-1][1] == ((0.5, "0.922"),)
        assert data.lines[0].places[-1] == 0.5
        assert parallel.draw(data).figure.axes

    def test_a_parameter_that_is_not_there_is_below_its_axis(self, told: Story) -> None:
        data = parallel.prepare(gather(told.registry, told.study))
        assert [line.places[3] for line in data.lines] == [INACTIVE, INACTIVE, INACTIVE, pytest.approx(0.2)]
        assert data.has_inactive

    def test_the_least_important_of_many_are_left_out(self, tmp_path: Path) -> None:
        space = SearchSpace([FloatParam(f"p{i}", 0.0, 1.0) for i in range(25)])
        spec = StudySpec("wide", space.to_dict(), "auc", Direction.MAXIMIZE, space.defaults())
        known = tuple(Importance(f"p{i}", 0.1, 0.0, 0.2, "", 0.5, dead=False) for i in range(24, -1, -1))
        with open_registry(tmp_path / "x.db", create=True) as registry:
            study = registry.open_study(spec)
            registry.add(study, [Suggestion(space.defaults(), "default")])
            (claim,) = registry.claim(study)
            registry.complete(claim, Evaluation(0.5), TODAY)
            data = parallel.prepare(gather(registry, study), Insight(30, known, None))
        assert [name for name, _ in data.axes] == [*(f"p{i}" for i in range(5, 25)), "auc"]
        assert "5 less important parameters left out" in data.note


class TestSlices:
    def test_each_parameter_has_those_that_have_it(self, told: Story) -> None:
        data = slices.prepare(gather(told.registry, told.study))
        assert [(each.scale.name, len(each.marks)) for each in data.slices] == [
            ("learning_rate", 4),
            ("max_depth", 4),
            ("booster", 4),
            ("rate_drop", 1),
        ]
        assert data.slices[1].best == pytest.approx((1.0, 0.934))

    def test_the_baseline_is_on_the_scale_and_what_is_not_is_counted(self, story: Story) -> None:
        story.scored([0.5], "default")
        for depth in range(2, 10):
            for rate in (0.2, 0.3):
                story.scored([0.9 + depth / 1000], max_depth=depth, learning_rate=rate)
        story.scored([0.01], max_depth=10)
        data = slices.prepare(gather(story.registry, story.study))
        assert data.span[0] < 0.5
        assert data.note == "18 complete; 1 worse than the scale stands at its edge"

    def test_what_is_not_drawn_is_said(self, story: Story) -> None:
        story.scored(BASE, "default")
        story.pruned([0.5], max_depth=3)
        rows = gather(story.registry, story.study)
        assert slices.prepare(rows).note == "1 complete, 1 pruned; only the complete drawn"
        assert parallel.prepare(rows).note == "1 complete, 1 pruned; only the complete drawn"

    def test_equal_categories_lie_beside_each_other(self, told: Story) -> None:
        booster = slices.prepare(gather(told.registry, told.study)).slices[2]
        places = [mark[0] for mark in booster.marks]
        assert len(set(places)) == 4
        assert all(abs(place - round(place)) < 0.2 for place in places)


class TestLearningCurves:
    def test_folds_are_known_as_such(self, told: Story) -> None:
        rows = gather(told.registry, told.study)
        data = learning_curves.prepare(rows, lambda point: told.registry.measurements(point.experiment))
        assert data.are_folds
        assert [each.role for each in data.curves] == ["", "", "baseline", "best"]
        assert data.curves[-1].values == pytest.approx((0.914, 0.940, 0.923, 0.961, 0.932))

    def test_rounds_are_joined_in_their_order(self, story: Story) -> None:
        story.scored([0.9], "default")
        rows = gather(story.registry, story.study)
        measured = [Measurement(2, "roc_auc", 0.9), Measurement(1, "roc_auc", 0.5), Measurement(1, "loss", 9)]
        data = learning_curves.prepare(rows, lambda point: measured)
        assert not data.are_folds
        assert (data.curves[0].steps, data.curves[0].values) == ((1, 2), (0.5, 0.9))

    def test_pruned_ones_are_drawn_and_the_baseline_is_on_the_scale(self, story: Story) -> None:
        story.scored(BASE, "default")
        for rate in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
            story.scored(better(BASE, 0.6), learning_rate=rate)
        story.pruned([0.2, 0.3], max_depth=3)
        rows = gather(story.registry, story.study)
        data = learning_curves.prepare(rows, lambda point: story.registry.measurements(point.experiment))
        (stopped,) = [each for each in data.curves if each.role == "pruned"]
        assert stopped.steps == (1, 2)
        assert stopped.values == pytest.approx((0.2, 0.3))
        (baseline,) = [each for each in data.curves if each.role == "baseline"]
        assert all(map(data.span.holds, baseline.values))
        assert data.note.endswith("1 reaches beyond the scale")

    def test_no_reports_are_nothing_to_plot(self, story: Story) -> None:
        story.scored([0.9], "default")
        with pytest.raises(NotFoundError, match="reported 'roc_auc' on the way"):
            learning_curves.prepare(gather(story.registry, story.study), lambda point: [])


class TestTuned:
    def prepare(self, story: Story) -> tuned.Pairs:
        facts = summarize(story.registry, story.study, folds=5)
        return tuned.prepare(
            story.registry, story.study, facts.baseline, facts.chosen, facts.confirmed,
            pipeline="breast", folds=5,
        )  # fmt: skip

    def test_both_have_their_intervals(self, told: Story) -> None:
        (pair,) = self.prepare(told).pairs
        assert pair.default is not None
        assert pair.tuned is not None
        assert (pair.default.value, pair.tuned.value) == pytest.approx((0.922, 0.934))
        assert pair.default.low == pytest.approx(0.922 - 2.776 * 0.0086, abs=1e-3)

    def test_an_interval_ends_where_the_metric_does(self, story: Story) -> None:
        story.scored([0.97, 1.0, 1.0, 0.98, 1.0], "default")
        (pair,) = self.prepare(story).pairs
        assert pair.default is not None
        assert pair.default.high == 1.0
        assert pair.default.low is not None
        assert pair.default.low < 0.98

    def test_scores_on_a_part_of_the_rows_say_so(self, story: Story) -> None:
        part = replace(
            TODAY, metric="roc_auc, maximize; 5 folds x 1 on 50 of 400 rows, holdout 0.2 of seed 0"
        )
        story.scored(BASE, "default", provenance=part)
        assert self.prepare(story).pairs[0].label == "cross-validated (50 of 400 rows)"

    def test_without_the_baseline_there_is_nothing_to_compare(self, story: Story) -> None:
        story.scored(better(BASE, 0.1), max_depth=3)
        with pytest.raises(NotFoundError, match="the baseline has no result"):
            self.prepare(story)


def test_preparing_needs_no_matplotlib() -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from orchestrator.plots import convergence, front, importance, learning_curves, parallel, slices\n"
        "from orchestrator.plots import tuned"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).resolve().parents[3])
