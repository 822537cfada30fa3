"""The `[[gate]]` section: names that are unique, and what has no meaning is refused by its key."""

from pathlib import Path

import pytest

from retrain.config import Config, load_config
from tuner.errors import ConfigError

TABLE = '[pipeline]\nmodel = "logistic_regression"\ndata = "d.csv"\ntarget = "y"\nmetric = "roc_auc"\n'


def load(folder: Path, *gates: str, more: str = "") -> Config:
    text = "".join(f"[[gate]]\n{gate}\n" for gate in gates)
    (folder / "retrain.toml").write_text(TABLE + more + text)
    return load_config(folder, environ={})


def test_every_entry_has_a_name_of_its_own(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "metric = 'roc_auc'\nmin = 0.5",
        "metric = 'roc_auc'\nmin = 0.6",
        "metric = 'f1'\nmin = 0.1\nmax_drop = 0.2\nby = 'a site'",
        "name = 'roc_auc-min-2'\nmetric = 'roc_auc'\nmin = 0.7",
        "check = 'my/checks.py:fair'",
        "check = 'pkg.mine:fair'",
    )
    assert [gate.name for gate in config.gate] == [
        "roc_auc-min",
        "roc_auc-min-3",
        "f1-min-max_drop-by-a_site",
        "roc_auc-min-2",
        "checks.fair",
        "pkg.fair",
    ]


@pytest.mark.parametrize(
    ("gate", "fault"),
    [
        ("min = 0.5", "`gate[0].metric` is needed (or check)."),
        ("metric = 'f1'", "`gate[0]` needs at least one of min, max, min_improvement, max_drop."),
        ("metric = 'f1'\nmin = 0.5\nconfidence = 0.5", "`gate[0].confidence` must be greater than 0.5"),
        ("metric = 'f1'\nmin = 0.5\nconfidence = 1.0", "`gate[0].confidence` must be less than 1"),
        ("metric = 'f1'\nmin = 0.5\nrepeats = -1", "`gate[0].repeats` must be greater than or equal to 0"),
        (
            "metric = 'test_f1'\nmin = 0.5\nrepeats = 2",
            "`gate[0].repeats` has no meaning for a metric of the holdout",
        ),
        (
            "metric = 'model_kb'\nmax = 9\nconfidence = 0.9",
            "`gate[0].confidence` has no meaning for what the final",
        ),
        (
            "metric = 'predict_ms'\nmax = 9\nby = 'site'",
            "`gate[0].by` has no meaning for what the final model costs",
        ),
        ("metric = 'f1'\nmin = 0.5\nmin_rows = 9", "`gate[0].min_rows` goes with by."),
        (
            "metric = 'f1'\nmin = 0.5\nby = 'a'\nconfidence = 0.9",
            "`gate[0].confidence` cannot be used with by",
        ),
        (
            "metric = 'acuracy'\nmin = 0.5\nby = 'a'",
            "`gate[0].metric` is an unknown metric, 'acuracy'. Did you mean 'accuracy'?",
        ),
        ("check = 'mine'", "`gate[0].check` must be a Python function as 'package.module:function'"),
        ("check = 'mine:check'\nmin = 0.0", "`gate[0].min` has no meaning beside check"),
        ("name = 'default'\nmetric = 'f1'\nmin = 0.5", "`gate[0].name` must not be 'default'"),
        ("name = 'data'\nmetric = 'f1'\nmin = 0.5", "`gate[0].name` must not be 'data'"),
        ("name = 'a b'\nmetric = 'f1'\nmin = 0.5", "`gate[0].name` must be 1 to 64 letters"),
    ],
)
def test_what_has_no_meaning_is_refused_by_its_key(gate: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, gate)
    assert fault in str(caught.value)


def test_a_name_twice_and_repeats_with_a_time_are_refused(tmp_path: Path) -> None:
    twice = "name = 'a'\nmetric = 'f1'\nmin = 0.5"
    with pytest.raises(ConfigError, match=r"`gate\[1\]\.name` is there twice: 'a'"):
        load(tmp_path, twice, twice)
    with pytest.raises(ConfigError, match="must be 0 with splits.time".replace(".", r"\.")):
        load(tmp_path, "metric = 'f1'\nmin = 0.5\nrepeats = 2", more="[splits]\ntime = 't'\n")


def test_groups_have_no_meaning_for_rankings(tmp_path: Path) -> None:
    ranking = (
        '[pipeline]\nkind = "ranking"\nscorer = "s:score"\ndata = "d.csv"\nitems = "i.csv"\nuser = "u"\n'
        'item = "i"\ntarget = "rating"\nmetric = "pairwise_accuracy"\n'
        '[[gate]]\nmetric = "pairwise_accuracy"\nmax_drop = 0.1\nby = "u"\n'
    )
    (tmp_path / "retrain.toml").write_text(ranking)
    with pytest.raises(ConfigError, match=r"`gate\[0\].by` has no meaning for kind = 'ranking'"):
        load_config(tmp_path, environ={})


@pytest.mark.parametrize("metric", ["accuracy", "test_accuracy", "model_kb", "best_iteration"])
def test_what_a_table_is_scored_by_may_have_a_gate(metric: str, tmp_path: Path) -> None:
    assert load(tmp_path, f"metric = '{metric}'\nmax = 5").gate[0].metric == metric


def test_a_metric_that_there_is_not_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"`gate\[0\].metric` is an unknown metric, 'acuracy'. Did you mean"
    ):
        load(tmp_path, "metric = 'test_acuracy'\nmin = 0.5")
    (tmp_path / "retrain.toml").write_text(
        "[pipeline]\nkind = 'mine:train'\nmetric = 'a'\n[[gate]]\nmetric = 'own'\nmin = 0.5\n"
    )
    assert load_config(tmp_path, environ={}).gate[0].metric == "own"
