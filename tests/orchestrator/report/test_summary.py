import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.report import summarize, summary
from retrain.tables import WIDTH
from tests.retrain.story import BASE, TODAY, Story, better
from tuner.errors import NotFoundError
from tuner.experiment import Direction, Evaluation, Measurement, Outcome, Provenance, Suggestion
from tuner.insight import Gain, Importance, Insight
from tuner.registry import StudySpec, open_registry
from tuner.space import FloatParam, SearchSpace

WHOLE = """\
Study breast
  metric       roc_auc, maximize
  data         3f2a91c0d4e5f6a7
  code         9d00ab12c3d4e5f6
  measured     5 folds
  experiments  9 in all: 5 complete, 3 failed, 1 waiting

Best 4 of 4
#  experiment                    roc_auc
-  ----------------------------  ---------------
1  bayesian_20261121_090131_001  0.9340 ± 0.0080
2  random_20261121_090124_001    0.9260 ± 0.0049
3  default_20261121_090116_001   0.9220 ± 0.0086
4  random_20261121_090120_001    0.9020 ± 0.0080
± is the standard error over folds

Where they differ
parameter      1     2       3       4
-------------  ----  ------  ------  ------
learning_rate  0.3   0.2     0.1     0.01
max_depth      10    4       6       6
booster        dart  gbtree  gbtree  gbtree
rate_drop      0.1

Improvement of the best
  +0.0120 (+1.30%) over the baseline
    95 % interval [+0.0091, +0.0149] from 5 paired folds
    The interval excludes zero: better by more than the noise of the folds.

Honest score
  Luck helped to choose the best of 4, and its score is not confirmed. To score
    the best once more, on fresh folds:
    orchestrator confirm

At a bound
  max_depth = 10 is at its upper bound; to look further, widen it to 14

Failures
  2 x error: ValueError: bad value 4 in row 23
    orchestrator show random_20261121_090129_001
  1 x timeout: did not finish within 10 min
    orchestrator show random_20261121_090130_001

Not compared
  1 experiment scored on other data (0123456789abcdef)
  They are kept, but scores of different origin are never mixed. To score the
    best of them on what is now:
    orchestrator revalidate --top 5

Cost
  22 s of experiments, in 26 s by the clock

Apply the best
  retrain --apply-hp bayesian_20261121_090131_001"""


def test_the_whole_summary(told: Story) -> None:
    assert summary(told.registry, told.study) == WHOLE


def test_it_fits_a_terminal(told: Story) -> None:
    assert max(map(len, summary(told.registry, told.study, top=20).splitlines())) <= WIDTH


def test_markdown_has_the_same_sections(told: Story) -> None:
    text = summary(told.registry, told.study, output="markdown")
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert titles == [
        "Study breast",
        "Best 4 of 4",
        "Where they differ",
        "Improvement of the best",
        "Honest score",
        "At a bound",
        "Failures",
        "Not compared",
        "Cost",
        "Apply the best",
    ]
    assert "| 1 | bayesian_20261121_090131_001 | 0.9340 ± 0.0080 |" in text
    assert "| learning_rate | 0.3 | 0.2 | 0.1 | 0.01 |" in text


def test_json_is_the_whole_at_full_precision(told: Story) -> None:
    document = json.loads(summary(told.registry, told.study, output="json", top=2))
    best = told.registry.best(told.study)[0]
    assert document["best"][0]["value"] == best.value
    assert document["best"][0]["params"] == dict(best.params)
    assert document["counts"] == {"waiting": 1, "running": 0, "complete": 5, "pruned": 0, "failed": 3}
    assert (document["n_compared"], len(document["best"])) == (4, 2)
    (gain,) = document["improvements"]
    assert gain["against"] == "baseline"
    assert gain["amount"] == pytest.approx(0.012)
    assert gain["interval"]["includes_zero"] is False
    assert gain["interval"]["low"] < 0.012 < gain["interval"]["high"]
    assert document["bounds"] == [
        {"name": "max_depth", "value": 10, "side": "upper", "bound": 10, "exact": True, "wider": 14}
    ]
    assert [(each["outcome"], each["count"]) for each in document["failures"]] == [
        ("error", 2),
        ("timeout", 1),
    ]
    assert document["excluded"][0]["differs"] == ["data"]
    assert document["cost"] == {"experiments_s": pytest.approx(22.5), "wall_s": pytest.approx(25.5)}
    assert document["apply"] == f"retrain --apply-hp {best.public_id}"


def test_csv_is_the_table_of_the_best(told: Story) -> None:
    rows = list(csv.DictReader(io.StringIO(summary(told.registry, told.study, output="csv", top=1))))
    assert [row["rank"] for row in rows] == ["1", ""]
    assert [row["role"] for row in rows] == ["best", "baseline"]
    assert [row["method"] for row in rows] == ["bayesian", "default"]
    assert float(rows[0]["learning_rate"]) == 0.3
    assert rows[1]["rate_drop"] == ""


def test_commands_repeat_the_common_options(told: Story) -> None:
    text = summary(told.registry, told.study, flags=" --db other.db")
    assert text.endswith("retrain --apply-hp bayesian_20261121_090131_001 --db other.db")


def test_titles_are_bold_only_where_asked(told: Story) -> None:
    assert "\x1b" not in summary(told.registry, told.study)
    assert summary(told.registry, told.study, colour=True).startswith("\x1b[1mStudy breast\x1b[0m\n")


def test_where_the_baseline_failed_the_command_that_shows_why_stands_there(story: Story) -> None:
    story.failed("ValueError: no")  # of the parameters of the baseline
    story.scored(better(BASE, 0.002), max_depth=4)
    text = summary(story.registry, story.study, flags=" --db other.db")
    assert "\n    orchestrator ls --method default --db other.db\n" in text


def test_an_interval_that_includes_zero_says_so(story: Story) -> None:
    story.scored(BASE, "default")
    story.scored(better(BASE, 0.002, noise=0.02), max_depth=4)
    text = summary(story.registry, story.study)
    assert "The interval includes zero: these folds do not show a real difference." in text


def test_a_smaller_loss_is_a_positive_improvement(tmp_path: Path) -> None:
    story = Story(tmp_path, direction=Direction.MINIMIZE, metric="rmse")
    story.scored([50.0, 52.0, 51.0], "default")
    story.scored([47.0, 49.5, 48.0], max_depth=4)
    (gain,) = summarize(story.registry, story.study).improvements
    assert gain.amount == pytest.approx(17 / 6)
    assert gain.paired is not None
    assert gain.paired.mean == pytest.approx(17 / 6)
    assert gain.relative == pytest.approx(17 / 6 / 51)
    story.registry.close()


def test_folds_of_one_repeat_widen_the_interval(story: Story) -> None:
    story.scored(BASE + BASE, "default")
    story.scored(better(BASE, 0.01) + better(BASE, 0.011), max_depth=4)
    (as_one,) = summarize(story.registry, story.study).improvements
    (repeated,) = summarize(story.registry, story.study, folds=5).improvements
    assert as_one.paired is not None
    assert repeated.paired is not None
    assert repeated.paired.std_error > as_one.paired.std_error


def test_reports_that_are_no_folds_give_no_interval(story: Story) -> None:
    """A learning curve has steps, too, but its mean is not the value."""
    for final, depth in ((0.9, 6), (0.95, 4)):
        story.write("random", max_depth=depth)
        (claim,) = story.registry.claim(story.study)
        curve = tuple(Measurement(step, "roc_auc", final - 0.1 / (step + 1)) for step in range(5))
        story.registry.complete(claim, Evaluation(final, measurements=curve), TODAY)
    text = summary(story.registry, story.study)
    assert "+0.05 (+5.56%) over the baseline" in text
    assert "no interval: the two did not report scores of the same folds" in text


def test_the_best_is_what_is_deployed(story: Story) -> None:
    story.scored(BASE, "default")
    best = story.scored(better(BASE, 0.02), "bayesian", max_depth=4)
    facts = summarize(story.registry, story.study, deployed=best.params)
    assert facts.deployed is not None
    assert facts.deployed.public_id == best.public_id
    text = summary(story.registry, story.study, deployed=best.params)
    assert "What is deployed is the best of 2: nothing to gain so far." in text
    assert "--apply-hp" not in text


def test_what_is_deployed_may_never_have_been_scored_here(story: Story) -> None:
    best = story.scored(BASE, "default")
    story.scored(better(BASE, -0.02), max_depth=4)
    elsewhere = {**best.params, "max_depth": 9}
    text = summary(story.registry, story.study, deployed=elsewhere)
    assert "The baseline is the best of 2: nothing to gain so far." in text
    assert "--apply-hp" not in text
    assert "--apply-hp" not in summary(story.registry, story.study)


def test_the_baseline_is_offered_where_what_is_deployed_is_worse(story: Story) -> None:
    best = story.scored(BASE, "default")
    worse = story.scored(better(BASE, -0.02), max_depth=4)
    text = summary(story.registry, story.study, deployed=worse.params)
    assert text.endswith(f"retrain --apply-hp {best.public_id}")
    rows = csv.DictReader(
        io.StringIO(summary(story.registry, story.study, deployed=worse.params, output="csv"))
    )
    assert [(row["rank"], row["role"]) for row in rows] == [("1", "baseline"), ("2", "deployed")]


def test_a_change_has_the_sign_of_its_metric(tmp_path: Path) -> None:
    story = Story(tmp_path, direction=Direction.MINIMIZE, metric="rmse")
    story.scored([50.0, 52.0, 51.0], "default")
    story.scored([47.0, 49.5, 48.0], max_depth=4)
    lines = summary(story.registry, story.study).splitlines()
    at = lines.index("Improvement of the best")
    assert lines[at + 1] == "  -2.83 (-5.56%) against the baseline; lower is better"
    assert lines[at + 2].startswith("    95 % interval [-3.")
    assert "better by more than the noise" in lines[at + 3]
    story.registry.close()


@pytest.mark.parametrize(
    ("metric", "base"), [("r2", 0.5), ("neg_rmse", -3.0), ("value", -3.0), ("value", 0.0)]
)
def test_no_percentage_where_zero_means_nothing(tmp_path: Path, metric: str, base: float) -> None:
    story = Story(tmp_path, metric=metric)
    story.scored([base, base], "default")
    story.scored([base + 0.1, base + 0.1], max_depth=4)
    text = summary(story.registry, story.study)
    assert "+0.1 over the baseline" in text
    (gain,) = json.loads(summary(story.registry, story.study, output="json"))["improvements"]
    assert gain["relative"] is None
    assert gain["change"] == pytest.approx(0.1)
    story.registry.close()


def test_a_default_on_a_bound_is_no_hint(tmp_path: Path) -> None:
    space = SearchSpace([FloatParam("gamma", 0.0, 1.0, default=0.0), FloatParam("eta", 0.0, 1.0)])
    with open_registry(tmp_path / "e.db", create=True, clock=lambda: 1.8e9) as registry:
        study = registry.open_study(
            StudySpec("s", space.to_dict(), "loss", Direction.MINIMIZE, space.defaults())
        )
        registry.add(study, [Suggestion({"gamma": 0.0, "eta": 0.0}, "random")])
        registry.complete(registry.claim(study)[0], Evaluation(0.5), TODAY)
        assert [hit.name for hit in summarize(registry, study).bounds] == ["eta"]


@pytest.mark.parametrize(
    ("low", "high", "best", "wider"),
    [
        (0.4, 1.0, 1.0, 1.0),
        (0.4, 0.9, 0.9, 1.0),
        (0.2, 0.4, 0.4, 0.5),
        (0.3, 1.0, 0.3, 0.15),
        (0.0, 5.0, 5.0, 7.5),
        (-1.0, 1.0, 1.0, 2.0),
    ],
)
def test_what_may_be_a_share_is_not_to_be_widened_beyond_all_or_to_nothing(
    low: float, high: float, best: float, wider: float, tmp_path: Path
) -> None:
    space = SearchSpace([FloatParam("share", low, high)])
    with open_registry(tmp_path / "e.db", create=True, clock=lambda: 1.8e9) as registry:
        study = registry.open_study(
            StudySpec("s", space.to_dict(), "loss", Direction.MINIMIZE, space.defaults())
        )
        registry.add(study, [Suggestion({"share": best}, "random")])
        registry.complete(registry.claim(study)[0], Evaluation(0.5), TODAY)
        assert [hit.wider for hit in summarize(registry, study).bounds] == [wider]


def test_the_best_against_baseline_and_deployed(story: Story) -> None:
    story.scored(BASE, "default")
    story.scored(better(BASE, 0.01), "deployed", max_depth=5)
    story.scored(better(BASE, 0.03), "bayesian", max_depth=4)
    facts = summarize(story.registry, story.study)
    assert [(each.against, round(each.amount, 6)) for each in facts.improvements] == [
        ("baseline", 0.03),
        ("deployed", 0.02),
    ]


def test_the_baseline_is_listed_though_it_is_not_among_the_best(story: Story) -> None:
    story.scored(BASE, "default")
    for depth in (3, 4, 5):
        story.scored(better(BASE, depth / 100), max_depth=depth)
    lines = summary(story.registry, story.study, top=2).splitlines()
    assert [line.split()[0] for line in lines[lines.index("Best 2 of 4") + 3 :][:3]] == ["1", "2", "base"]


@pytest.mark.parametrize(
    ("params", "expected", "wider"),
    [
        ({"learning_rate": 1.0}, "learning_rate = 1 is at its upper bound", "32"),
        (
            {"learning_rate": 0.001},
            "learning_rate = 0.001 is at its lower bound",
            "3.2e-05",
        ),
        # 0.96 is 4 % from its end on a plain scale, and 0.6 % on its own, logarithmic one.
        (
            {"learning_rate": 0.96},
            "learning_rate = 0.96 is near its upper bound 1",
            "32",
        ),
        ({"learning_rate": 0.90}, None, None),
        ({"max_depth": 2}, "max_depth = 2 is at its lower bound", "1"),
        ({"max_depth": 9}, None, None),
        (
            {"booster": "dart", "rate_drop": 0.496},
            "rate_drop = 0.496 is near its upper bound 0.5",
            "0.75",
        ),
        ({"booster": "dart", "rate_drop": 0.494}, None, None),
    ],
)
def test_bounds_are_seen_in_the_parameters_own_scale(
    story: Story, params: dict[str, Any], expected: str | None, wider: str | None
) -> None:
    story.scored(better(BASE, 0.05), **params)
    text = summary(story.registry, story.study)
    if expected is None:
        assert "At a bound" not in text
    else:
        assert f"At a bound {expected}; to look further, widen it to {wider} " in " ".join(text.split())


INSIGHT = Insight(
    23,
    (
        Importance("learning_rate", 0.62, 0.5, 0.71, "inner", 0.0512345, dead=False),
        Importance("max_depth", 0.3, 0.2, 0.41, "higher", 10, dead=False),
        Importance("booster", 0.05, 0.03, 0.1, "", "gbtree", dead=False),
        Importance("min_child_weight", 0.03, 0.0, 0.1, "", 1, dead=False),
        Importance("rate_drop", 0.0, 0.0, 0.01, "", 0.1, dead=True),
    ),
    Gain(10, 0.0041, 0.001, 0.0062),
)


def noted(story: Story, insight: Insight, study: str) -> None:
    story.registry.log("insight", "what mattered", study=study, **insight.to_dict())


def test_what_the_last_run_learned_is_shown(story: Story) -> None:
    story.scored(BASE, max_depth=5)
    assert "What mattered" not in summary(story.registry, story.study)
    noted(story, replace(INSIGHT, n=11), story.study.name)
    noted(story, INSIGHT, story.study.name)
    noted(story, replace(INSIGHT, n=99), "another study")
    text = summary(story.registry, story.study)
    assert WHAT_MATTERED in text
    assert max(map(len, text.splitlines())) <= WIDTH
    document = json.loads(summary(story.registry, story.study, output="json"))
    assert Insight.from_dict(document["insight"]) == INSIGHT


def test_what_results_do_not_tell_is_not_in_the_table(story: Story) -> None:
    story.scored(BASE, max_depth=5)
    unknown = Importance("subsample", 0.4, 0.01, 0.8, "", 0.5, dead=False)
    noted(story, replace(INSIGHT, importances=(unknown, *INSIGHT.importances)), story.study.name)
    text = " ".join(summary(story.registry, story.study).split())
    assert (
        "Too few results to say: subsample (1% to 80%). Little or nothing, at most the share in brackets:"
        " min_child_weight (10%). No effect seen over the whole space: rate_drop." in text
    )
    assert text.count("subsample") == 1


def test_where_nothing_is_known_to_matter_that_is_said(story: Story) -> None:
    story.scored(BASE, max_depth=5)
    unknown = Importance("subsample", 0.4, 0.01, 0.8, "", 0.5, dead=False)
    noted(story, replace(INSIGHT, importances=(unknown,)), story.study.name)
    text = summary(story.registry, story.study)
    assert "What mattered in 23 results\n  Too few results to say: subsample (1% to 80%).\n" in text


WHAT_MATTERED = """\
What mattered in 23 results
parameter      share  likely      better
-------------  -----  ----------  -------------------
learning_rate  62%    50% to 71%  inside, near 0.0512
max_depth      30%    20% to 41%  higher
booster        5%     3% to 10%   gbtree
Little or nothing, at most the share in brackets: min_child_weight (10%). No
effect seen over the whole space: rate_drop.

Going on
  10 more experiments are expected to gain 0.0041 roc_auc on average (eight of
    ten times 0.001 to 0.0062).
"""


def test_of_a_share_no_more_can_be_gained_than_is_left(story: Story) -> None:
    story.scored([0.998], max_depth=5)
    noted(story, INSIGHT, story.study.name)
    text = " ".join(summary(story.registry, story.study).split())
    assert "expected to gain 0.002 roc_auc on average (eight of ten times 0.001 to 0.002)." in text


def test_only_the_latest_provenance_is_compared(story: Story) -> None:
    story.scored([0.99] * 5, max_depth=3, provenance=Provenance("old", "older", TODAY.metric))
    story.scored([0.98] * 5, max_depth=4, provenance=Provenance("old", "older", TODAY.metric))
    story.scored(BASE, max_depth=5)
    facts = summarize(story.registry, story.study)
    assert (facts.n_compared, [e.params["max_depth"] for e in facts.top]) == (1, [5])
    assert [(each.count, each.differs) for each in facts.excluded] == [(2, ("data", "code"))]
    assert "2 experiments scored on other data (old) and other code (older)" in summary(
        story.registry, story.study
    )


def test_the_clock_counts_parallel_experiments_once_and_pauses_not_at_all(story: Story) -> None:
    for depth in (3, 4, 5):
        story.write(max_depth=depth)
    first, second = story.registry.claim(story.study, 2)
    story.now += 10
    story.registry.complete(first, Evaluation(0.9, duration_s=10.0), TODAY)
    story.now += 5
    story.registry.complete(second, Evaluation(0.9, duration_s=15.0), TODAY)
    story.now += 1000
    (third,) = story.registry.claim(story.study)
    story.now += 2
    story.registry.complete(third, Evaluation(0.9, duration_s=2.0), TODAY)
    facts = summarize(story.registry, story.study)
    assert facts.experiments_s == 27.0
    assert facts.wall_s == pytest.approx(17.0)


def test_failures_that_differ_in_numbers_only_are_one_group(story: Story) -> None:
    for depth, message in ((3, "lost at 0x7f3a, row 12"), (4, "lost at 0x99bc, row 7"), (5, "lost at sea")):
        story.failed(message, Outcome.WORKER_LOST, max_depth=depth)
    groups = summarize(story.registry, story.study).failures
    assert [(each.count, each.message) for each in groups] == [
        (2, "lost at 0x99bc, row 7"),
        (1, "lost at sea"),
    ]


def test_nothing_complete_yet(story: Story) -> None:
    story.failed("ValueError: no", max_depth=3)
    text = summary(story.registry, story.study)
    assert "None yet: no experiment is complete." in text
    assert "1 x error: ValueError: no" in text
    assert "--apply-hp" not in text
    assert json.loads(summary(story.registry, story.study, output="json"))["best"] == []
    assert summary(story.registry, story.study, output="csv") == "rank,role,experiment,method,value,std_error"


def test_an_empty_study_is_not_found(story: Story) -> None:
    with pytest.raises(NotFoundError, match="no experiments yet") as caught:
        summary(story.registry, story.study)
    assert caught.value.remedy == "orchestrator --method bayesian --configs 20"


def test_hostile_text_cannot_steer_the_terminal(story: Story) -> None:
    story.failed("\x1b]0;owned\x07=cmd|' /C calc'!A0\u202e", max_depth=3)
    for output in ("table", "markdown", "json", "csv"):
        text = summary(story.registry, story.study, output=output)
        assert all(character.isprintable() or character == "\n" for character in text)


def test_a_parameter_called_like_a_column_keeps_its_own(tmp_path: Path) -> None:
    space = SearchSpace([FloatParam("experiment", 0.0, 1.0), FloatParam("value", 0.0, 1.0)])
    with open_registry(tmp_path / "e.db", create=True, clock=lambda: 1.8e9) as registry:
        study = registry.open_study(
            StudySpec("s", space.to_dict(), "loss", Direction.MINIMIZE, space.defaults())
        )
        registry.add(study, [Suggestion({"experiment": x, "value": x}, "random") for x in (0.25, 0.75)])
        for claim in registry.claim(study, 2):
            registry.complete(claim, Evaluation(0.5), TODAY)
        rows = list(csv.DictReader(io.StringIO(summary(registry, study, output="csv"))))
    assert [row["params.experiment"] for row in rows] == ["0.25", "0.75"]
    assert [row["params.value"] for row in rows] == ["0.25", "0.75"]
    assert rows[0]["value"] == "0.5"


def test_many_parameters_fit(tmp_path: Path) -> None:
    space = SearchSpace([FloatParam(f"a_rather_long_parameter_name_{i}", 0.0, 1.0) for i in range(30)])
    with open_registry(tmp_path / "e.db", create=True, clock=lambda: 1.8e9) as registry:
        study = registry.open_study(
            StudySpec("s", space.to_dict(), "loss", Direction.MINIMIZE, space.defaults())
        )
        registry.add(study, [Suggestion(dict.fromkeys(space.names, i / 12), "random") for i in range(12)])
        for claim in registry.claim(study, 12):
            registry.complete(claim, Evaluation(0.5, 0.1), TODAY)
        text = summary(registry, study, top=12)
    assert max(map(len, text.splitlines())) <= WIDTH
    assert all(name in text for name in space.names)
