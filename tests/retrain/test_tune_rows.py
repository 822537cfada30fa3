"""A search on a part of the rows: which they are, who is scored on them, and who says so."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.pool import Task
from orchestrator.report.rows import provenance_facts
from orchestrator.worker import run_task
from retrain.pipelines.tabular import TabularPipeline
from retrain.splits import Rows
from retrain.tune_rows import choose_rows, tuned_on
from tests.retrain.pipelines.test_tabular import bound, project
from tests.retrain.projects import mixed_frame
from tests.retrain.story import Story
from tuner.errors import ConfigError, DataError
from tuner.experiment import Evaluation, Provenance


def classes(n: int, share: float) -> Rows:
    y = (np.arange(n) < share * n).astype(int)
    return Rows(np.random.default_rng(0).permutation(y), n_classes=2)


class TestChoice:
    def test_classes_keep_their_shares(self) -> None:
        rows = classes(1000, 0.05)
        chosen = choose_rows(rows, 200, seed=0)
        assert chosen is not None
        assert len(chosen) == 200
        assert rows.y[chosen].sum() == 10
        assert (np.diff(chosen) > 0).all()

    def test_groups_stay_whole(self) -> None:
        groups = np.repeat(np.arange(50), 20)
        rows = Rows(np.arange(1000.0), groups=groups)
        chosen = choose_rows(rows, 0.2, seed=0)
        assert chosen is not None
        assert set(np.bincount(groups[chosen], minlength=50)) == {0, 20}
        assert len(chosen) == 200

    def test_of_times_it_is_the_latest(self) -> None:
        times = np.random.default_rng(0).permutation(1000)
        chosen = choose_rows(Rows(np.arange(1000.0), times=times), 250, seed=0)
        assert chosen is not None
        assert sorted(times[chosen]) == list(range(750, 1000))

    @pytest.mark.parametrize("wanted", [None, 1000, 5000])
    def test_all_of_them_are_no_part(self, wanted: int | None) -> None:
        assert choose_rows(classes(1000, 0.5), wanted, seed=0) is None

    def test_the_seed_decides(self) -> None:
        rows = classes(1000, 0.5)
        first, same, other = (choose_rows(rows, 100, seed=seed) for seed in (0, 0, 1))
        assert np.array_equal(first, same)  # type: ignore[arg-type]
        assert not np.array_equal(first, other)  # type: ignore[arg-type]

    @settings(deadline=None, max_examples=50)
    @given(st.integers(20, 300), st.floats(0.05, 0.95), st.integers(0, 5))
    def test_about_as_many_as_wanted(self, n: int, share: float, seed: int) -> None:
        chosen = choose_rows(Rows(np.arange(float(n))), share, seed)
        assert chosen is not None
        assert abs(len(chosen) - share * n) <= 1
        assert len(set(chosen)) == len(chosen)


class TestPipeline:
    REST = "[splits]\ntune_rows = 200\n"
    FRAME = mixed_frame(n=1000)

    def bound(self, folder: Path, rest: str = REST, **options: Any) -> TabularPipeline:
        return bound(folder, self.FRAME, rest=rest, **options)

    def scored(self, pipeline: TabularPipeline, *, tuning: bool) -> float:
        params = pipeline.space.defaults()
        end = run_task(pipeline, Task("a", params, 0, tuning=tuning), lambda *_: None)
        assert isinstance(end, Evaluation), end
        return end.value

    def test_a_search_sees_the_part_and_all_else_sees_all(self, tmp_path: Path) -> None:
        part = self.bound(tmp_path)
        whole = self.bound(tmp_path, rest="")
        assert self.scored(part, tuning=False) == self.scored(whole, tuning=False)
        assert self.scored(whole, tuning=True) == self.scored(whole, tuning=False)
        assert self.scored(part, tuning=True) != self.scored(part, tuning=False)
        assert self.scored(part, tuning=True) == self.scored(part, tuning=True)  # whatever was before

    def test_it_is_the_part_that_is_learned_from(self, tmp_path: Path) -> None:
        pipeline = self.bound(tmp_path)
        folds = pipeline._folds_of(0, tuning=True)
        assert folds.mean_sizes == (160.0, 40.0)
        assert set(np.concatenate([valid for _, valid in folds.splits])) <= set(pipeline.data.train)
        assert pipeline._folds_of(0, tuning=False).mean_sizes == (640.0, 160.0)

    def test_the_final_model_is_of_all_rows(self, tmp_path: Path) -> None:
        pipeline = self.bound(tmp_path)
        self.scored(pipeline, tuning=True)
        model = pipeline.fit(pipeline.space.defaults(), 0)
        assert pipeline.fit_rule(model)["n_rows"] == 800

    def test_the_rounds_of_the_final_fit_are_those_of_all_rows(self, tmp_path: Path) -> None:
        rest = "early_stopping_rounds = 3\n" + self.REST
        pipeline = self.bound(tmp_path, rest, model="xgboost", fixed={"n_estimators": 30})
        self.scored(pipeline, tuning=True)
        assert pipeline._stopped == {}
        model = pipeline.fit(pipeline.space.defaults(), 0)
        assert all(each.n_learned[0] > 200 for each in pipeline._stopped.values())
        assert pipeline.fit_rule(model)["n_rows"] == 800

    def test_the_provenance_tells_it_apart(self, tmp_path: Path) -> None:
        part, whole = self.bound(tmp_path).provenance(), self.bound(tmp_path, rest="").provenance()
        assert part != whole
        assert (part.data, part.code) == (whole.data, whole.code)
        assert tuned_on(part) == "tuned on 200 of 800 rows"
        assert tuned_on(whole) is None

    def test_a_part_that_cannot_be_folded_is_refused_before_anything_runs(self, tmp_path: Path) -> None:
        frame = self.FRAME.assign(site=np.arange(1000) // 200)  # five sites, of which four are trained on
        rest = "[splits]\ngroup = 'site'\nfolds = 3\ntune_rows = 0.5\n"
        with pytest.raises(DataError, match="at least 3 groups"):
            project(tmp_path, frame, rest=rest).load()

    @pytest.mark.parametrize("rows", ["0", "9", "1.0", "0.0", "-5", "'all'", "1.5"])
    def test_what_is_no_part_is_refused(self, tmp_path: Path, rows: str) -> None:
        with pytest.raises(ConfigError, match="tune_rows"):
            project(tmp_path, self.FRAME, rest=f"[splits]\ntune_rows = {rows}\n")


def test_only_tables_have_rows(tmp_path: Path) -> None:
    from retrain.config import load_config

    (tmp_path / "retrain.toml").write_text(
        '[pipeline]\nkind = "mine:train"\nmetric = "roc_auc"\n[splits]\ntune_rows = 50\n'
        '[space.params]\nx = { type = "int", low = 1, high = 9 }\n'
    )
    with pytest.raises(ConfigError, match=r"tune_rows.* no meaning for kind = 'mine:train'"):
        load_config(tmp_path / "retrain.toml")


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("roc_auc, maximize; 5 folds x 1 on 5000 of 24000 rows, holdout 0.2 of seed 0", "5,000 of 24,000"),
        ("roc_auc, maximize; 5 folds x 1, holdout 0.2 of seed 0", None),
        ("", None),
    ],
)
def test_scores_say_it(metric: str, said: str | None) -> None:
    told = tuned_on(Provenance(metric=metric))
    assert told == (None if said is None else f"tuned on {said} rows")
    assert tuned_on(None) is None


def test_the_summary_says_it(tmp_path: Path) -> None:
    story = Story(tmp_path)
    part = Provenance("d", "c", "roc_auc, maximize; 5 folds x 1 on 5000 of 24000 rows, holdout 0.2 of seed 0")
    facts = provenance_facts(part, story.study)
    story.registry.close()
    assert facts["rows"] == "tuned on 5,000 of 24,000 rows; confirmation, gate and final fit take all"
