"""What may leak is named, and what does not is not: planted faults, and tables that are known to be sound."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrain.config.pipeline import BUILT_IN_DATA
from retrain.data import Leak
from retrain.doctor import Verdict, doctor
from retrain.pipelines import load_pipeline
from retrain.pipelines.tabular import TabularPipeline
from tests.retrain.projects import tabular

N = 600


def sound(n: int = N, seed: int = 0) -> pd.DataFrame:
    """Numbers, a category, gaps, and a target that no column gives away."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    colour = rng.choice(["red", "green", "blue"], size=n)
    y = (a + (colour == "red") + rng.normal(size=n) > 0.3).astype(int)
    return pd.DataFrame({"a": np.where(rng.random(n) < 0.1, np.nan, a), "b": b, "colour": colour, "y": y})


def leaks(folder: Path, frame: pd.DataFrame, rest: str = "", **pipeline: Any) -> list[Leak]:
    frame.to_csv(folder / "data.csv", index=False)
    made = load_pipeline(tabular(folder, rest=rest, **pipeline))
    assert isinstance(made, TabularPipeline)
    return made.look()[1]


def the_leak(found: list[Leak]) -> Leak:
    (leak,) = found
    return leak


@pytest.mark.parametrize("name", BUILT_IN_DATA)
def test_sound_data_sets_are_not_suspected(tmp_path: Path, name: str) -> None:
    metric = {"diabetes": "rmse", "breast_cancer": "roc_auc"}.get(name, "accuracy")
    made = load_pipeline(tabular(tmp_path, data=name, target=None, metric=metric))
    assert isinstance(made, TabularPipeline)
    assert made.look()[1] == []


@pytest.mark.parametrize("seed", range(5))
def test_a_sound_table_is_not_suspected(tmp_path: Path, seed: int) -> None:
    assert leaks(tmp_path, sound(seed=seed)) == []


# ---- copies


def test_copies_across_the_split_are_counted(tmp_path: Path) -> None:
    frame = sound()
    leak = the_leak(leaks(tmp_path, pd.concat([frame, frame.head(150)])))
    assert leak.columns == ()
    assert "copies of rows learned from" in leak.what
    assert "held-out rows" in leak.what
    rows = [int(word.strip(".,")) for word in leak.what.split("such as rows ")[1].split(" and ")]
    assert sorted(rows)[1] - sorted(rows)[0] == N
    assert "Take copies out" in leak.remedy


def test_copies_with_a_number_of_their_own_are_found_all_the_same(tmp_path: Path) -> None:
    frame = sound()
    both = pd.concat([frame, frame.head(150)]).assign(
        ID=range(N + 150), code=[f"c{i}" for i in range(N + 150)]
    )
    assert "copies" in the_leak(leaks(tmp_path, both)).what


def test_what_was_oversampled_before_the_split_is_found(tmp_path: Path) -> None:
    frame = sound()
    rare = frame[frame["y"] == 1]
    more = pd.concat([frame, *(rare.sample(frac=0.5, random_state=i) for i in range(6))])
    assert "copies" in the_leak(leaks(tmp_path, more)).what


def test_copies_that_a_group_keeps_together_are_no_leak(tmp_path: Path) -> None:
    frame = sound().assign(group=range(N))
    both = pd.concat([frame, frame.head(150)])
    assert leaks(tmp_path, both, rest='[splits]\ngroup = "group"\n') == []


def test_the_same_features_with_another_target_are_a_contradiction(tmp_path: Path) -> None:
    frame = sound()
    turned = frame.head(150).assign(y=1 - frame["y"])
    leak = the_leak(leaks(tmp_path, pd.concat([frame, turned])))
    assert "another target 'y'" in leak.what


def test_a_few_copies_move_no_score(tmp_path: Path) -> None:
    frame = sound()
    assert leaks(tmp_path, pd.concat([frame, frame.head(3)])) == []


@pytest.mark.parametrize("n_values", [2, 4])
def test_rows_that_are_alike_since_they_hold_few_values_are_no_copies(tmp_path: Path, n_values: int) -> None:
    rng = np.random.default_rng(0)
    table = {f"q{i}": rng.integers(0, n_values, N) for i in range(5)}
    frame = pd.DataFrame(table).assign(y=(rng.random(N) < 0.3).astype(int))
    assert frame.duplicated().mean() > 0.1
    assert leaks(tmp_path, frame) == []


# ---- owners


def visits(rng: np.random.Generator, name: str = "patient_id") -> pd.DataFrame:
    """Four visits of each patient, who keeps his height."""
    owner = rng.permutation(np.repeat(np.arange(N // 4), 4))
    height = rng.normal(size=N // 4)[owner] + 0.05 * rng.normal(size=N)
    return sound().assign(height=height, **{name: [f"P{number:04d}" for number in owner]})


@pytest.mark.parametrize("drop", [[], ["patient_id"]], ids=["a feature", "dropped"])
def test_a_patient_on_both_sides_is_named(tmp_path: Path, drop: list[str]) -> None:
    leak = the_leak(leaks(tmp_path, visits(np.random.default_rng(0)), drop=drop))
    assert leak.columns == ("patient_id",)
    assert "150 values that recur" in leak.what
    assert "% of the variance of 'height'" in leak.what
    assert 'group = "patient_id"' in leak.remedy
    assert leaks(tmp_path, visits(np.random.default_rng(0)), rest='[splits]\ngroup = "patient_id"\n') == []


@pytest.mark.parametrize("name", ["customer", "UserID", "subject no", "session_key", "shop_id"])
def test_owners_are_known_by_many_names(tmp_path: Path, name: str) -> None:
    found = leaks(tmp_path, visits(np.random.default_rng(0), name))
    assert the_leak(found).columns == (name,)


def test_an_owner_whose_rows_are_not_alike_is_no_leak(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    assert leaks(tmp_path, sound().assign(patient_id=rng.integers(0, 150, N))) == []


def test_an_id_with_few_values_is_a_category(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shop = rng.integers(0, 8, N)
    frame = sound().assign(shop_id=shop, rent=rng.normal(size=8)[shop])
    assert leaks(tmp_path, frame) == []


# ---- features that give the target away


@pytest.mark.parametrize(
    "column",
    [
        lambda y, rng: y * 3.0 - 1,
        lambda y, rng: np.where(y == 1, "refunded", "kept"),
        lambda y, rng: np.where(y == 1, rng.normal(size=len(y)), np.nan),
        lambda y, rng: np.where(y == 1, 1, -1) * (1 + rng.random(len(y))),
        lambda y, rng: np.where(y == 1, rng.choice([-1, 1], len(y)), 0) + 0.1 * rng.normal(size=len(y)),
    ],
    ids=["function", "category", "missing", "threshold", "not monotone"],
)
def test_a_feature_that_predicts_the_target_alone_is_named(tmp_path: Path, column: Any) -> None:
    frame = sound()
    frame["after"] = column(frame["y"].to_numpy(), np.random.default_rng(1))
    leak = the_leak(leaks(tmp_path, frame))
    assert leak.columns == ("after",)
    assert "ROC AUC" in leak.what
    assert 'drop = ["after"]' in leak.remedy
    assert leaks(tmp_path, frame, drop=["after"]) == []
    assert leaks(tmp_path, frame, trusted=["after"]) == []


def test_a_gap_that_tells_the_target_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = sound()
    frame["refund"] = np.where((frame["y"] == 1) & (rng.random(N) < 0.6), rng.normal(size=N), np.nan)
    leak = the_leak(leaks(tmp_path, frame))
    assert leak.columns == ("refund",)
    assert "where it is known, 'y' is always 1" in leak.what


def test_classes_and_numbers_are_given_away_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 5, N)
    frame = sound().assign(y=kind, code=[f"K{each}" for each in kind])
    leak = the_leak(leaks(tmp_path, frame, metric="accuracy"))
    assert (leak.columns, "kappa 1.000" in leak.what) == (("code",), True)
    price = np.exp(3 * rng.normal(size=N))
    frame = sound().assign(
        y=price, tax=0.19 * price + 1, logged=np.log(price), noisy=price + rng.normal(size=N)
    )
    leak = the_leak(leaks(tmp_path, frame.drop(columns="noisy"), metric="rmse"))
    assert leak.columns == ("tax", "logged")


def test_a_strong_but_honest_feature_is_not_suspected(tmp_path: Path) -> None:
    frame = sound()
    frame["risk"] = frame["y"] + 0.5 * np.random.default_rng(0).normal(size=N)
    assert leaks(tmp_path, frame) == []


def test_an_id_is_no_predictor_since_it_says_nothing_of_other_rows(tmp_path: Path) -> None:
    frame = sound().assign(name=[f"row {i}" for i in range(N)])
    assert leaks(tmp_path, frame) == []


# ---- times


@pytest.mark.parametrize(
    "days",
    [
        lambda days: days.strftime("%Y-%m-%d"),
        lambda days: days.strftime("%d.%m.%Y"),
        lambda days: days.strftime("%Y%m%d").astype(int),
        lambda days: days.astype("int64") // 10**9,
        lambda days: days.astype("int64") // 10**6,
    ],
    ids=["iso", "german", "number", "unix", "milliseconds"],
)
def test_times_that_a_random_split_ignores_are_named(tmp_path: Path, days: Any) -> None:
    moments = pd.date_range("2024-01-01", periods=N, freq="D").as_unit("ns")
    frame = sound().assign(order_date=np.asarray(days(moments)))
    leak = the_leak(leaks(tmp_path, frame, drop=["order_date"]))
    assert leak.columns == ("order_date",)
    assert "2024-0" in leak.what
    assert "the split is random" in leak.what
    assert 'time = "order_date"' in leak.remedy
    assert leaks(tmp_path, frame, drop=["order_date"], trusted=["order_date"]) == []


def test_a_split_by_time_or_a_date_of_birth_is_no_leak(tmp_path: Path) -> None:
    frame = sound().assign(day=pd.date_range("2024-01-01", periods=N).strftime("%Y-%m-%d"))
    assert leaks(tmp_path, frame, rest='[splits]\ntime = "day"\n') == []
    assert leaks(tmp_path, frame.rename(columns={"day": "date_of_birth"}), drop=["date_of_birth"]) == []


# ---- where it is said


def test_loading_says_it_once_and_doctor_lists_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound().assign(after=lambda frame: frame["y"] * 2).to_csv(tmp_path / "data.csv", index=False)
    pipeline = load_pipeline(tabular(tmp_path))
    with caplog.at_level(logging.WARNING):
        pipeline.use(pipeline.load())
        pipeline.evaluate(pipeline.space.defaults(), lambda step, metrics: None, 0)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["possible leakage"]
    monkeypatch.chdir(tmp_path)
    (found,) = [each for each in doctor() if each.check == "leakage"]
    assert found.verdict is Verdict.WARNING
    assert "'after' (ROC AUC 1.000)" in found.detail
    assert 'drop = ["after"]' in found.remedy
    sound().to_csv(tmp_path / "data.csv", index=False)
    (found,) = [each for each in doctor() if each.check == "leakage"]
    assert (found.verdict, found.detail) == (
        Verdict.OK,
        "none seen between 480 rows to train on and 120 held out",
    )


def test_data_that_cannot_be_trained_on_are_a_problem_for_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound(3).to_csv(tmp_path / "data.csv", index=False)
    tabular(tmp_path)
    monkeypatch.chdir(tmp_path)
    (found,) = [each for each in doctor() if each.check == "leakage"]
    assert found.verdict is Verdict.PROBLEM
