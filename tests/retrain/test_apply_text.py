import csv
import io
import json
from dataclasses import replace

import pytest

from retrain.apply_text import apply_text, preview_text
from retrain.deploy import ApplyOutcome, ApplyReport, Verdict
from tuner.experiment import Direction

DIFF = "--- a/model.py\n+++ b/model.py\n@@ -1,2 +1,2 @@\n-DEPTH = 6\n+DEPTH = 4\n LR = 0.1\n"

REPORT = ApplyReport(
    ApplyOutcome.DEPLOYED,
    "apply",
    "churn",
    params={"depth": 4, "lr": 0.1, "booster": "gbtree"},
    previous={"depth": 6, "lr": 0.1, "booster": "dart", "rate_drop": 0.2},
    version=7,
    from_version=6,
    experiment="bayesian_20261121_090131_001",
    before={"roc_auc": 0.9123456, "log_loss": 0.31, "fit_seconds": 1.0, "test_roc_auc": 0.9},
    after={"roc_auc": 0.92, "log_loss": 0.33, "fit_seconds": 2.0, "test_f1": 0.8},
    verdicts=(
        Verdict(
            "test_roc_auc", "min", 0.8, 0.92, 0.9, 0.02, None, True, "test_roc_auc is 0.92, at least 0.8"
        ),
    ),
    target="model.py",
    diff=DIFF,
    notes=("version 5 was left half-made and removed",),
)

WHOLE = """\
Hyperparameters
parameter  before  after
---------  ------  ------
depth      6       4
booster    dart    gbtree
rate_drop  0.2

Change of model.py
  --- a/model.py
  +++ b/model.py
  @@ -1,2 +1,2 @@
  -DEPTH = 6
  +DEPTH = 4
   LR = 0.1

Metrics
metric         before  after  change     which is
------------  -------  -----  ---------  --------
roc_auc       0.91235   0.92  +0.007654  better
log_loss         0.31   0.33  +0.02      worse
fit_seconds         1      2  +1
test_f1                  0.8
test_roc_auc      0.9

Gate
  met: test_roc_auc is 0.92, at least 0.8

Notes
  version 5 was left half-made and removed

Outcome
  churn: deployed as v7 (before: v6)
  back again: retrain --rollback --db x.db"""


def test_the_whole_report() -> None:
    assert apply_text(REPORT, flags=" --db x.db") == WHOLE


def test_the_preview_is_the_report_without_its_outcome() -> None:
    assert preview_text(REPORT) == WHOLE[: WHOLE.index("\n\nOutcome")]


def test_after_the_question_only_the_outcome_is_left() -> None:
    assert apply_text(REPORT, brief=True, flags=" --db x.db") == WHOLE[WHOLE.index("Outcome") :]


def test_after_a_rollback_the_way_forward_needs_its_number() -> None:
    text = apply_text(replace(REPORT, action="rollback", version=5, from_version=7), brief=True)
    assert text.endswith("churn: rolled back to v5 (before: v7)\n  back again: retrain --rollback 7")


def test_a_rollback_to_what_is_active_does_not_suggest_force() -> None:
    text = apply_text(replace(REPORT, action="rollback", outcome=ApplyOutcome.UNCHANGED))
    assert text.endswith("churn: already active as v7")
    assert "add --force" in apply_text(replace(REPORT, outcome=ApplyOutcome.UNCHANGED))


@pytest.mark.parametrize(
    ("metric", "before", "after", "noise", "expected"),
    [
        ("own", 0.9, 0.905, 0.01, "same"),
        ("own", 0.9, 0.92, 0.01, "better"),
        ("own", 0.9, 0.88, 0.01, "worse"),
        ("own", 0.9, 0.9 + 5e-6, None, "same"),
        ("own", 0.9, 0.9 + 5e-6, 0.0, "better"),
        ("own", 0.9, 0.9, 0.0, "same"),
        ("test_own", 0.9, 0.905, 0.01, "better"),
        ("test_own", 0.9, 0.9008, None, "same"),
        ("log_loss", 0.31, 0.31 + 5e-6, 0.0, "same"),
        ("log_loss", 0.31, 0.32, 0.5, "worse"),
        ("fit_seconds", 1.0, 2.0, 0.0, ""),
        ("own", 0.0, 0.0, None, "same"),
    ],
)
def test_a_difference_within_the_noise_is_the_same(
    metric: str, before: float, after: float, noise: float | None, expected: str
) -> None:
    report = replace(REPORT, before={metric: before}, after={metric: after}, metric="own", noise=noise)
    assert replace(report, direction=Direction.MAXIMIZE).standing(metric) == expected
    if expected in ("better", "worse") and metric.endswith("own"):
        opposite = {"better": "worse", "worse": "better"}[expected]
        assert replace(report, direction=Direction.MINIMIZE).standing(metric) == opposite
    assert (
        apply_text(replace(report, direction=Direction.MAXIMIZE), "csv")
        .splitlines()[1]
        .endswith(f",{expected}")
    )


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (ApplyOutcome.UNCHANGED, "already active as v7"),
        (ApplyOutcome.DRY_RUN, "dry run: the gate is met; nothing was changed"),
        (ApplyOutcome.REFUSED, "the gate is not met: nothing was changed"),
        (ApplyOutcome.DECLINED, "not confirmed: nothing was changed"),
    ],
)
def test_outcomes_that_deploy_nothing_suggest_no_rollback(outcome: ApplyOutcome, expected: str) -> None:
    text = apply_text(replace(REPORT, outcome=outcome))
    assert f"churn: {expected}" in text
    assert "--rollback" not in text


def test_a_gate_that_is_not_met_stands_out() -> None:
    failed = replace(REPORT.verdicts[0], passed=False, why="too low")
    assert "Gate\n  NOT MET: too low" in apply_text(replace(REPORT, verdicts=(failed,)))


def test_a_warning_stands_under_the_gate() -> None:
    text = apply_text(replace(REPORT, warnings=("on the holdout it is worse",)))
    assert "at least 0.8\n  warning: on the holdout it is worse\n" in text
    assert json.loads(apply_text(replace(REPORT, warnings=("w",)), "json"))["warnings"] == ["w"]


def test_json_is_everything() -> None:
    document = json.loads(apply_text(REPORT, "json"))
    assert document["after"]["roc_auc"] == 0.92
    assert document["diff"] == DIFF
    assert document["verdicts"][0]["passed"] is True
    assert document["outcome"] == "deployed"


def test_csv_is_the_figures() -> None:
    rows = list(csv.DictReader(io.StringIO(apply_text(REPORT, "csv"))))
    assert [row["metric"] for row in rows] == [
        "roc_auc",
        "log_loss",
        "fit_seconds",
        "test_f1",
        "test_roc_auc",
    ]
    assert float(rows[0]["before"]) == 0.9123456


def test_colour_only_where_asked() -> None:
    assert "\x1b" not in apply_text(REPORT)
    text = apply_text(REPORT, colour=True)
    assert "\x1b[31m-DEPTH = 6\x1b[0m" in text
    assert "\x1b[32m+DEPTH = 4\x1b[0m" in text


@pytest.mark.parametrize("colour", [True, False])
def test_what_stands_in_the_users_file_cannot_steer_the_terminal(colour: bool) -> None:
    text = apply_text(replace(REPORT, diff="-X = 1  # \x1b]0;owned\x07\n"), colour=colour)
    assert "\x1b]" not in text
    assert r"\x1b]0;owned\x07" in text
