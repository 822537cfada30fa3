import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.report import diff, listing, show, summarize, summary_text
from retrain.tables import WIDTH
from tests.retrain.story import BASE, TODAY, Story, better
from tuner.errors import MismatchError, NotFoundError, UsageError
from tuner.experiment import Direction, Evaluation, Failure, Outcome, Params, State, Suggestion
from tuner.registry import StudySpec, open_registry
from tuner.space import CategoricalParam, SearchSpace

LISTED = """\
experiment                    state     roc_auc          took   why
----------------------------  --------  ---------------  -----  ----------
default_20261121_090112_001   complete  0.9220 ± 0.0086  4 s    other data
default_20261121_090116_001   complete  0.9220 ± 0.0086  4 s
random_20261121_090120_001    complete  0.9020 ± 0.0080  4 s
random_20261121_090124_001    complete  0.9260 ± 0.0049  4 s
random_20261121_090128_001    failed                            error
random_20261121_090129_001    failed                            error
random_20261121_090130_001    failed                            timeout
bayesian_20261121_090131_001  complete  0.9340 ± 0.0080  6.5 s
random_20261121_090137_001    waiting
± is the standard error over folds"""

SHOWN = """\
Experiment bayesian_20261121_090131_001
  study     breast
  method    bayesian
  state     complete
  roc_auc   0.9340 ± 0.0080
  took      6.5 s
  written   2026-11-21T09:01:31Z
  started   2026-11-21T09:01:31Z
  finished  2026-11-21T09:01:37Z
  seed      7
  data      3f2a91c0d4e5f6a7
  code      9d00ab12c3d4e5f6
  measured  5 folds

Parameters
parameter      value  baseline
-------------  -----  --------
learning_rate  0.3    0.1
max_depth      10     6
booster        dart   gbtree
rate_drop      0.1

Metrics
metric    value
--------  -----
accuracy    0.9

Measurements
step  roc_auc
----  -------
   0    0.914
   1     0.94
   2    0.923
   3    0.961
   4    0.932

Attempts
#  started               took   ending    message
-  --------------------  -----  --------  -------
1  2026-11-21T09:01:31Z  6.5 s  complete"""

DIFFERENT = """\
Parameters that differ
parameter      bayesian_20261121_090131_001  default_20261121_090116_001
-------------  ----------------------------  ---------------------------
learning_rate  0.3                           0.1
max_depth      10                            6
booster        dart                          gbtree
rate_drop      0.1

roc_auc
  bayesian_20261121_090131_001  0.9340 ± 0.0080
  default_20261121_090116_001   0.9220 ± 0.0086
  bayesian_20261121_090131_001 has the better value: +0.0120 (+1.30%) over
    default_20261121_090116_001
    95 % interval [+0.0091, +0.0149] from 5 paired folds
    The interval excludes zero: better by more than the noise of the folds.

Metrics
metric    bayesian_20261121_090131_001  default_20261121_090116_001
--------  ----------------------------  ---------------------------
accuracy                           0.9                          0.9"""

BEST, BASELINE, OLD = "bayesian", "default_20261121_090116", "default_20261121_090112"


def test_ls(told: Story) -> None:
    assert listing(told.registry, told.study) == LISTED


@pytest.mark.parametrize(
    ("filters", "n"),
    [
        ({"states": [State.FAILED]}, 3),
        ({"states": [State.FAILED, State.WAITING]}, 4),
        ({"method": "bayesian"}, 1),
        ({"method": "random", "states": [State.COMPLETE]}, 2),
        ({"limit": 2}, 2),
        ({"limit": 100}, 9),
        ({"method": "sobol"}, 0),
    ],
)
def test_ls_filters(told: Story, filters: dict[str, object], n: int) -> None:
    rows = json.loads(listing(told.registry, told.study, output="json", **filters))  # type: ignore[arg-type]
    assert len(rows) == n


def test_ls_of_a_method_that_there_is_not_names_the_closest(told: Story) -> None:
    with pytest.raises(UsageError, match=r"Unknown method 'baysian'\. Did you mean 'bayesian'"):
        listing(told.registry, told.study, method="baysian")


def test_ls_limits_to_the_newest_of_what_is_left(told: Story) -> None:
    text = listing(told.registry, told.study, method="random", limit=2, output="csv")
    assert [row["id"] for row in csv.DictReader(io.StringIO(text))] == [
        "random_20261121_090130_001",
        "random_20261121_090137_001",
    ]


def test_ls_csv_has_parameters_and_errors(told: Story) -> None:
    rows = list(csv.DictReader(io.StringIO(listing(told.registry, told.study, output="csv"))))
    assert rows[7]["booster"] == "dart"
    assert rows[0]["rate_drop"] == ""
    assert rows[4]["error"].startswith("ValueError: bad value 3 in row 17")


def test_show(told: Story) -> None:
    assert show(told.registry, BEST) == SHOWN


def test_show_a_failure_with_the_end_of_its_traceback(story: Story) -> None:
    trace = "\n".join(["Traceback:", *(f"  frame {i}" for i in range(50)), "ValueError: bad"])
    story.failed("ValueError: bad", traceback=trace, max_depth=3)
    text = show(story.registry, "random")
    assert "state     failed (error)" in text
    assert "Error\n  ValueError: bad" in text
    assert "    frame 49\n  ValueError: bad" in text
    assert "frame 20" not in text
    assert json.loads(show(story.registry, "random", output="json"))["traceback"] == trace


def test_show_every_attempt_and_the_reason(story: Story) -> None:
    story.write("bayesian", {"mean": 0.93123456, "design": "initial"}, max_depth=4)
    (claim,) = story.registry.claim(story.study)
    story.registry.fail(claim, Failure(Outcome.WORKER_LOST, "worker died (SIGSEGV)"))
    (claim,) = story.registry.claim(story.study)
    text = show(story.registry, "bayesian")
    assert "reason   mean 0.93123, design initial" in text
    rows = text[text.index("Attempts") :].splitlines()[3:]
    assert rows[0].endswith("failed   worker died (SIGSEGV)")
    assert rows[1].split()[-1] == "running"


def test_show_json_holds_everything(told: Story) -> None:
    document = json.loads(show(told.registry, BEST, output="json"))
    assert document["study"] == "breast"
    assert document["params"] == {"learning_rate": 0.3, "max_depth": 10, "booster": "dart", "rate_drop": 0.1}
    assert [each["value"] for each in document["measurements"]] == pytest.approx(better(BASE, 0.012))
    assert [each["ending"] for each in document["attempts"]] == ["complete"]
    assert document["finished_at"] == "2026-11-21T09:01:37Z"


def test_none_is_told_from_what_is_not_in_use(tmp_path: Path) -> None:
    choices = [None, "None", "balanced"]
    space = SearchSpace(
        [CategoricalParam("on", [True, False]), CategoricalParam("weight", choices, when={"on": [True]})]
    )
    spec = StudySpec("none", space.to_dict(), "auc", Direction.MAXIMIZE, space.defaults())
    with open_registry(tmp_path / "none.db", create=True) as registry:
        study = registry.open_study(spec)
        given: list[Params] = [{"on": True, "weight": None}, {"on": True, "weight": "None"}, {"on": False}]
        rows = registry.add(study, [Suggestion(params, "random") for params in given])
        for claim in registry.claim(study, 3):
            registry.complete(claim, Evaluation(0.5), TODAY)
        listed = list(csv.DictReader(io.StringIO(listing(registry, study, output="csv"))))
        assert [row["weight"] for row in listed] == ["null", "None", ""]
        best = csv.DictReader(io.StringIO(summary_text(summarize(registry, study), "csv")))
        assert {row["weight"] for row in best} == {"null", "None", ""}
        assert re.search(r"^weight +null +None *$", summary_text(summarize(registry, study)), re.MULTILINE)
        assert re.search(r"^weight +null +null *$", show(registry, rows[0].public_id), re.MULTILINE)
        text = diff(registry, rows[0].public_id, rows[2].public_id)
        assert re.search(r"^weight +null *$", text, re.MULTILINE)


def test_show_csv_is_one_field_per_row(told: Story) -> None:
    rows = dict(csv.reader(io.StringIO(show(told.registry, BEST, output="csv"))))
    assert rows["params.max_depth"] == "10"
    assert rows["scored_on.data"] == TODAY.data


def test_show_what_is_not_there(told: Story) -> None:
    with pytest.raises(NotFoundError):
        show(told.registry, "grid_2026")


def test_diff(told: Story) -> None:
    assert diff(told.registry, BEST, BASELINE) == DIFFERENT


def test_diff_the_other_way_round(told: Story) -> None:
    there = json.loads(diff(told.registry, BEST, BASELINE, output="json"))["improvement"]
    back = json.loads(diff(told.registry, BASELINE, BEST, output="json"))["improvement"]
    assert back["amount"] == pytest.approx(-there["amount"])
    assert back["interval"]["high"] == pytest.approx(-there["interval"]["low"])


def test_diff_says_which_is_better_whoever_is_named_first(told: Story, tmp_path: Path) -> None:
    same = DIFFERENT[DIFFERENT.index("  bayesian_20261121_090131_001 has") : DIFFERENT.index("\n\nMetrics")]
    assert same in diff(told.registry, BEST, BASELINE)
    assert same in diff(told.registry, BASELINE, BEST)
    (tmp_path / "other").mkdir()
    story = Story(tmp_path / "other", direction=Direction.MINIMIZE, metric="rmse")
    worse, better, equal = (
        story.scored([value], max_depth=d).public_id for d, value in ((3, 4.0), (4, 3.0), (5, 3.0))
    )
    text = " ".join(diff(story.registry, worse, better).split())
    assert f"{better} has the better value: -1 (-25.00%) against {worse}; lower is better" in text
    assert "Both have the same value: " in diff(story.registry, better, equal)
    story.registry.close()


def test_diff_never_compares_scores_of_different_data(told: Story) -> None:
    text = diff(told.registry, BEST, OLD)
    assert text.endswith("Not compared: scored on different data.")
    document = json.loads(diff(told.registry, BEST, OLD, output="json"))
    assert document["improvement"] is None
    assert document["not_compared"] == "Not compared: scored on different data."


def test_diff_with_an_experiment_that_has_no_value(told: Story) -> None:
    assert diff(told.registry, BEST, "random_20261121_090137").endswith(
        "Not compared: random_20261121_090137_001 has no value (waiting)."
    )


def test_diff_of_the_same_parameters(told: Story) -> None:
    assert diff(told.registry, BASELINE, OLD).startswith("Parameters\n  Both have the same.")


def test_diff_across_studies_is_refused(told: Story) -> None:
    spec = StudySpec("other", told.study.space, "loss", Direction.MINIMIZE, told.study.baseline)
    other = told.registry.open_study(spec)
    told.registry.add(other, [Suggestion(told.study.baseline, "grid")])
    with pytest.raises(MismatchError, match="within one study"):
        diff(told.registry, BEST, "grid")


def test_diff_csv(told: Story) -> None:
    rows = list(csv.reader(io.StringIO(diff(told.registry, BEST, BASELINE, output="csv"))))
    assert rows[0][0] == "parameter"
    assert rows[0][3:] == ["difference", "interval_low", "interval_high"]
    assert rows[1] == ["learning_rate", "0.3", "0.1", "", "", ""]
    metric, *figures = rows[-1]
    best, base, difference, low, high = map(float, figures)
    assert metric == "roc_auc"
    assert difference == pytest.approx(best - base)
    assert low < difference < high


def test_diff_csv_without_a_comparison(told: Story) -> None:
    rows = list(csv.reader(io.StringIO(diff(told.registry, BEST, OLD, output="csv"))))
    assert rows[-1][0] == "roc_auc"
    assert rows[-1][3:] == ["", "", ""]


def test_no_line_is_too_wide(told: Story) -> None:
    texts = (
        listing(told.registry, told.study),
        show(told.registry, BEST),
        diff(told.registry, BEST, BASELINE),
    )
    assert max(len(line) for text in texts for line in text.splitlines()) <= WIDTH


def test_reports_import_nothing_heavy(told: Story) -> None:
    heavy = ("ray", "sklearn", "xgboost", "pandas", "skopt", "optuna", "scipy", "libcst", "rich")
    script = (
        "import sys\n"
        "from orchestrator import report\n"
        "from tuner.registry import open_registry\n"
        f"registry = open_registry({str(told.path)!r}, create=False, read_only=True)\n"
        "study = registry.studies()[0]\n"
        "report.summary(registry, study), report.listing(registry, study)\n"
        "report.show(registry, 'bayesian'), report.diff(registry, 'bayesian', 'default_20261121_090116')\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
