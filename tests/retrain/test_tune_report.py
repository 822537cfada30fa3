import json
from pathlib import Path

import pytest

from retrain.tune_report import tune_report, tune_report_text
from tests.retrain.story import BASE, TODAY, Story, better
from tuner.errors import NotFoundError
from tuner.experiment import Evaluation, Provenance

WHOLE = """\
Study breast: roc_auc, maximize
method    waiting  running  complete  pruned  failed   best
--------  -------  -------  --------  ------  ------  -----
default         0        0         1       0       0  0.922
random          1        0         1       0       1  0.902
bayesian        0        0         1       0       0  0.934

Best so far
  bayesian_20261121_090121_001  0.9340 ± 0.0080
  +0.0120 (+1.30%) over the baseline
    95 % interval [+0.0091, +0.0149] from 5 paired folds
    The interval excludes zero: better by more than the noise of the folds.

Latest events
  2026-11-21T09:01:25Z  the gate refused v3 \\x1b[2J

1 still to run
  orchestrator --db x.db"""


@pytest.fixture
def story(tmp_path: Path) -> Story:
    story = Story(tmp_path)
    story.scored(BASE, "default")
    story.scored(better(BASE, -0.02), learning_rate=0.01)
    story.failed("ValueError: no", max_depth=3)
    story.scored(better(BASE, 0.012), "bayesian", max_depth=10)
    story.write(learning_rate=0.5)
    story.registry.log("gate_refused", "the gate refused v3 \x1b[2J", salience=0.8)
    return story


def test_the_whole_report(story: Story) -> None:
    assert tune_report_text(tune_report(story.registry, story.study), flags=" --db x.db") == WHOLE


def test_json(story: Story) -> None:
    document = json.loads(tune_report_text(tune_report(story.registry, story.study), "json"))
    assert [each["method"] for each in document["methods"]] == ["default", "random", "bayesian"]
    assert document["improvement"]["amount"] == pytest.approx(0.012)
    assert document["events"][0]["kind"] == "gate_refused"


def test_scores_of_other_data_are_no_best(story: Story) -> None:
    story.registry.complete(
        story.registry.claim(story.study)[0],
        Evaluation(0.5),
        Provenance("other", TODAY.code, TODAY.metric),
    )
    report = tune_report(story.registry, story.study)
    assert {each.method: each.best and each.best.value for each in report.methods} == {
        "default": None,
        "random": 0.5,
        "bayesian": None,
    }
    assert report.gain is None


def test_the_best_may_be_the_baseline(tmp_path: Path) -> None:
    story = Story(tmp_path)
    story.scored(BASE, "default")
    report = tune_report(story.registry, story.study)
    assert (report.best and report.best.method, report.gain) == ("default", None)
    assert "still to run" not in tune_report_text(report)


def test_nothing_there(tmp_path: Path) -> None:
    story = Story(tmp_path)
    with pytest.raises(NotFoundError, match="no experiments yet") as caught:
        tune_report(story.registry, story.study)
    assert caught.value.remedy == "retrain --tune"
