import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from retrain.config import Config, find_config, load_config
from retrain.config.space import settle
from tests.retrain.projects import SPACE, config_in, tabular
from tuner.errors import ConfigError, SpaceError
from tuner.experiment import Direction
from tuner.space import FloatParam, SearchSpace

COMMAND = "[pipeline]\nkind = 'command'\ncommand = './train.sh'\nmetric = 'auc'\ndirection = 'maximize'\n"
PYTHON = "[pipeline]\nkind = 'train:objective'\ndirection = 'minimize'\n"


def fault_of(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config_in(folder, text)
    return str(caught.value)


def test_the_example_of_the_design_is_read_as_it_stands(tmp_path: Path) -> None:
    config = config_in(
        tmp_path,
        """
        [pipeline]
        kind = "tabular"
        model = "xgboost"
        data = "credit.csv"
        target = "default"
        metric = "roc_auc"
        [space]
        preset = "xgboost/default"
        [space.params]
        learning_rate = { type = "float", low = 0.01, high = 0.3, log = true, default = 0.1 }
        a = { type = "float", low = 0.0, high = 1.0, default = 0.5 }
        b = { type = "float", low = 0.0, high = 1.0, default = 0.5 }
        [[space.constraints]]
        sum = ["a", "b"]
        equals = 1.0
        [space.phases.later.params]
        depth = { type = "int", low = 1, high = 3 }
        [deploy]
        target = "model.py"
        [[gate]]
        metric = "test_accuracy"
        min = 0.65
        """,
    )
    assert config.name == "xgboost-credit"
    assert config.root == tmp_path.resolve()
    assert config.db == f"sqlite:///{tmp_path.resolve()}/experiments.db"
    assert config.study_name == "xgboost-credit"
    assert config.gate[0].min == 0.65
    space = config.search_space()
    assert space.params["learning_rate"].high == 0.3, "own parameters win over the preset's"  # type: ignore[union-attr]
    assert "max_depth" in space.names
    assert len(space.constraints) == 1
    assert config.in_phase("later").search_space().names == ("depth",)


def test_what_is_read_is_frozen(tmp_path: Path) -> None:
    config = tabular(tmp_path)
    with pytest.raises(ValidationError, match="frozen"):
        config.name = "other"  # type: ignore[misc]


# ---- faults


def test_every_fault_is_named_at_once_with_key_value_and_the_nearest_name(tmp_path: Path) -> None:
    fault = fault_of(
        tmp_path,
        """
        [pipeline]
        kind = "tabular"
        model = "xgbost"
        dta = "credit.csv"
        metric = "roc_acu"
        [splits]
        folds = "5"
        holdout = 1.5
        [space]
        preset = "xgboost/defalt"
        [studdy]
        name = "x"
        [[gate]]
        metric = "test_accuracy"
        mni = 0.5
        """,
    )
    assert "extra_trees/default" not in fault, "of a long list only the closest is named"
    assert fault.startswith(f"{tmp_path}/retrain.toml has 8 faults: (1) ")
    for part in [
        "`pipeline.model` is an unknown model, 'xgbost'. Did you mean 'xgboost'?",
        "`pipeline.dta` is not a known key. Did you mean 'data'?",
        "`pipeline.metric` is an unknown metric, 'roc_acu'. Did you mean 'roc_auc'?",
        "`splits.folds` must be a valid integer, but got '5'.",
        "`splits.holdout` must be less than or equal to 0.9, but got 1.5.",
        "`space.preset` is an unknown preset, 'xgboost/defalt'. Did you mean 'xgboost/default'?",
        "`studdy` is not a known key. Did you mean 'study'?",
        "`gate[0].mni` is not a known key. Did you mean 'min'?",
    ]:
        assert part in fault


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "`pipeline` is needed."),
        ("[pipeline]\n", "has 3 faults"),
        ("pipeline = 3\n", "`pipeline` must be a table, but got 3."),
        ("model = 'xgboost'\n" + COMMAND, "`model` is not a known key. It belongs in [pipeline]."),
        ("[pipeline]\nkind = 'tabullar'\n", "Did you mean 'tabular'?"),
        ("[pipeline]\nkind = 'train:'\n", "`pipeline.kind` must be"),
        (COMMAND + "model = 'xgboost'\n", "`pipeline.model` has no meaning for kind = 'command'."),
        (
            "[pipeline]\nmodel = 'ridge'\ndata = 'wine'\nmetric = 'log_loss'\n",
            "`pipeline.metric` cannot be had: The metric 'log_loss' needs probabilities, which the model",
        ),
        (
            COMMAND.replace("direction = 'maximize'", ""),
            "`pipeline.direction` must be 'minimize' or 'maximize'",
        ),
        (COMMAND.replace("'./train.sh'", "''"), "`pipeline.command` is needed"),
        (COMMAND.replace("'./train.sh'", "'a \"b'"), "`pipeline.command` cannot be split into words"),
        (COMMAND.replace("'./train.sh'", "'a {params}'") + "params_as = 'json'\n", "they come on stdin"),
        (COMMAND + "params_as = 'yaml'\n", "`pipeline.params_as` must be 'flags', 'json' or 'file'"),
        (COMMAND + "[[gate]]\nmetric = 'auc'\n", "`gate[0]` needs at least one of min, max"),
        (COMMAND + "[[gate]]\nmetric = 'auc'\nmin = nan\n", "`gate[0].min` must be a finite number"),
        (COMMAND + "[[gate]]\nmetric = 'auc'\nmin = 2\nmax = 1\n", "min <= max must hold"),
        (COMMAND + "[splits]\ntime = 't'\ngroup = 'g'\n", "cannot be used together"),
        (COMMAND + "[splits]\ntime = 't'\nrepeats = 2\n", "`splits.repeats` must be 1 with splits.time"),
        (COMMAND + "[study]\nname = '../x'\n", "`study.name` must be 1 to 64 letters"),
        ("name = ''\n" + COMMAND, "`name` must be 1 to 64 letters"),
        (COMMAND + "[study]\nseed = true\n", "`study.seed` must be a valid integer, but got True."),
        (COMMAND + "fixed = { a = [1] }\n", "`pipeline.fixed.a` must be"),
        (
            COMMAND + "[study]\nmemory = 2\n",
            "toml: `study.memory` must be a valid boolean or less than or equal to 1, but got 2.",
        ),
        (
            COMMAND + "[splits]\ntune_rows = true\n",
            "toml: `splits.tune_rows` must be a valid integer or a valid number, but got True.",
        ),
        (
            COMMAND + "[compare]\ntrain_on = ['any']\n",
            "toml: `compare.train_on[0]` must be 'all', 'others' or",
        ),
    ],
)
def test_one_sentence_per_fault(tmp_path: Path, text: str, part: str) -> None:
    assert part in fault_of(tmp_path, text)


def test_tabular_needs_a_target_unless_the_data_set_has_its_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`pipeline\.target` is needed"):
        tabular(tmp_path, target=None)
    assert tabular(tmp_path, target=None, data="breast_cancer").name == "random_forest-breast_cancer"


def test_the_direction_is_the_metrics_own_and_cannot_be_turned_round(tmp_path: Path) -> None:
    assert tabular(tmp_path, metric="roc_auc", direction="maximize").pipeline.direction is Direction.MAXIMIZE
    with pytest.raises(ConfigError, match="must be 'minimize' \\(or left out\\) for log_loss"):
        tabular(tmp_path, metric="log_loss", direction="maximize")


def test_a_syntax_error_names_the_line(tmp_path: Path) -> None:
    assert "is not valid TOML" in (fault := fault_of(tmp_path, "[pipeline]\nkind = \n"))
    assert "line 2" in fault


@pytest.mark.parametrize("content", [b"\xff\xfe[\x00", b"a = '\xe4'"])
def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "retrain.toml").write_bytes(content)
    with pytest.raises(ConfigError, match="must be UTF-8"):
        load_config(tmp_path, environ={})


def test_nesting_that_no_reader_survives_is_one_fault(tmp_path: Path) -> None:
    assert "nested too deeply" in fault_of(tmp_path, "a = " + "[" * 100_000)


@settings(deadline=None, max_examples=60)
@given(
    document=st.recursive(
        st.one_of(st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    ),
    section=st.sampled_from([*Config.model_fields, "pipelin"]),
)
def test_nonsense_in_any_section_is_a_config_error_and_never_another(
    tmp_path_factory: pytest.TempPathFactory, document: object, section: str
) -> None:
    folder = tmp_path_factory.mktemp("nonsense")
    (folder / "retrain.toml").write_text(COMMAND + SPACE)
    with suppress(ConfigError):
        assert isinstance(load_config(folder, {section: document}, environ={}), Config)


# ---- where it comes from


def test_the_file_of_its_own_wins_over_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        f"[tool.retrain]\nname = 'project'\n[tool.retrain.pipeline]\n{COMMAND[11:]}"
    )
    assert load_config(tmp_path, environ={}).name == "project"
    assert config_in(tmp_path, "name = 'own'\n" + COMMAND).name == "own"


def test_a_pyproject_without_our_table_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.other]\nretrain = 1\n")
    assert find_config(tmp_path) is None
    with pytest.raises(ConfigError, match=r"There is no retrain\.toml in .* and no \[tool\.retrain\]"):
        load_config(tmp_path, environ={})
    with pytest.raises(ConfigError, match=r"has no \[tool\.retrain\]"):
        load_config(tmp_path / "pyproject.toml", environ={})


def test_a_file_that_is_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"does not exist\.\n"):
        load_config(tmp_path / "other.toml", environ={})
    (tmp_path / "retrain.toml").touch()
    with pytest.raises(ConfigError, match=r"does not exist\. Did you mean 'retrain.toml'\?"):
        load_config(tmp_path / "retran.toml", environ={})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("metric = 'ROC-AUC'", "Did you mean 'roc_auc'?"),
        ("metric = 'roc_auc'\n[[objective]]\nmetric = 'model_k'", "Did you mean 'model_kb'?"),
        ("metric = 'roc_auc'\n[[limit]]\nmetric = 'predict_s'\nmax = 1", "`limit[0].metric` is an unknown"),
        ("metric = 'roc_auc'\n[[objective]]\nmetric = 'f1'\ndirection = 'maximise'", "mean 'maximize'?"),
        ("metric = 'roc_auc'\n[pruning]\npruner = 'asha'\nsteps = 'fold'", "Did you mean 'folds'?"),
        ("metric = 'roc_auc'\n[[gate]]\nmetric = 'test_rocauc'\nmin = 0.5", "Did you mean 'roc_auc'?"),
    ],
)
def test_a_name_that_is_none_names_the_closest(tmp_path: Path, wrong: str, said: str) -> None:
    text = f"[pipeline]\nmodel = 'ridge'\ndata = 'breast_cancer'\n{wrong}\n"
    assert said in fault_of(tmp_path, text)


def test_data_without_a_target_are_told_which_have_their_own(tmp_path: Path) -> None:
    text = "[pipeline]\nmodel = 'ridge'\ndata = 'breastcancer'\nmetric = 'roc_auc'\n"
    assert "Only breast_cancer, " in fault_of(tmp_path, text)


def test_flag_wins_over_environment_over_file_over_default(tmp_path: Path) -> None:
    text = COMMAND + "[study]\nseed = 1\n"
    environ = {"RETRAIN_STUDY_SEED": "2", "RETRAIN_SPLITS_FOLDS": "7"}
    (tmp_path / "retrain.toml").write_text(text)
    assert load_config(tmp_path, environ={}).study.seed == 1
    assert load_config(tmp_path, environ=environ).study.seed == 2
    assert load_config(tmp_path, {"study.seed": 3}, environ=environ).study.seed == 3
    assert load_config(tmp_path, {"study.seed": None}, environ=environ).study.seed == 2, "None: not given"
    assert load_config(tmp_path, environ=environ).splits.folds == 7
    assert load_config(tmp_path, environ={}).splits.folds == 5


def test_a_variable_is_read_as_its_key_wants_it(tmp_path: Path) -> None:
    environ = {"RETRAIN_PIPELINE_METRIC": "7", "RETRAIN_PIPELINE_FIXED": "{ a = 1.5 }", "RETRAIN_NAME": "n"}
    (tmp_path / "retrain.toml").write_text(COMMAND)
    config = load_config(tmp_path, environ=environ)
    assert (config.pipeline.metric, config.pipeline.fixed, config.name) == ("7", {"a": 1.5}, "n")


def test_a_fault_names_the_variable_or_flag_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "retrain.toml").write_text(COMMAND)
    with pytest.raises(
        ConfigError,
        match=r"`splits\.folds` must be a valid integer, but got 'many'\. \(from RETRAIN_SPLITS_FOLDS\)",
    ):
        load_config(tmp_path, environ={"RETRAIN_SPLITS_FOLDS": "many"})
    with pytest.raises(ConfigError, match=r"\(from the command line\)"):
        load_config(tmp_path, {"study.seed": -1}, environ={})


def test_a_misspelt_variable_is_refused_and_foreign_ones_are_not(tmp_path: Path) -> None:
    (tmp_path / "retrain.toml").write_text(COMMAND)
    load_config(tmp_path, environ={"RETRAIN_SEED": "1", "RETRAINING": "1", "PATH": ""})
    with pytest.raises(
        ConfigError, match=r"RETRAIN_SPLITS_FOLD names no key.*Did you mean 'RETRAIN_SPLITS_FOLDS'"
    ):
        load_config(tmp_path, environ={"RETRAIN_SPLITS_FOLD": "3"})


def test_the_variable_for_the_file_yields_to_the_flag(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("name = 'a'\n" + COMMAND)
    (tmp_path / "b.toml").write_text("name = 'b'\n" + COMMAND)
    environ = {"RETRAIN_CONFIG": str(tmp_path / "a.toml")}
    assert load_config(environ=environ).name == "a"
    assert load_config(tmp_path / "b.toml", environ=environ).name == "b"


@pytest.mark.parametrize(
    ("given_url", "url"),
    [
        ("sqlite:///x.db", "sqlite:///{root}/x.db"),
        ("x.db", "sqlite:///{root}/x.db"),
        ("/abs/x.db", "sqlite:////abs/x.db"),
        ("sqlite:////abs/x.db", "sqlite:////abs/x.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("postgresql://host/x", "postgresql://host/x"),
    ],
)
def test_a_relative_registry_lies_beside_the_configuration(tmp_path: Path, given_url: str, url: str) -> None:
    assert config_in(tmp_path, f"db = '{given_url}'\n" + COMMAND).db == url.format(root=tmp_path.resolve())


def test_a_registry_named_by_a_flag_lies_where_the_user_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "retrain.toml").write_text("db = 'file.db'\n" + COMMAND)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert load_config(tmp_path, {"db": "x.db"}, environ={}).db == f"sqlite:///{tmp_path.resolve()}/here/x.db"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("command = 'awk -f my train.awk'\nkind = 'command'", "train"),
        ("command = ['python', 'a/b.py', '--x']\nkind = 'command'", "b"),
        ("command = 'true'\nkind = 'command'", "true"),
        ("kind = 'package.module:Ünïcode'", "n_code"),
    ],
)
def test_the_name_is_what_runs_and_always_valid(tmp_path: Path, kind: str, name: str) -> None:
    assert config_in(tmp_path, f"[pipeline]\n{kind}\ndirection = 'minimize'\n").name == name


# ---- the space


def test_without_a_space_a_model_has_its_own_preset(tmp_path: Path) -> None:
    assert "max_depth" in tabular(tmp_path).search_space().names
    assert tabular(tmp_path, rest=SPACE).search_space().names == ("x",), "own parameters alone: no preset"


def test_without_a_space_a_program_has_nothing_to_search(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to search"):
        config_in(tmp_path, COMMAND).search_space()


def test_a_faulty_parameter_is_a_space_error_with_its_name(tmp_path: Path) -> None:
    config = config_in(tmp_path, PYTHON + "[space.params]\nx = { type = 'float', lwo = 0.0, high = 1.0 }\n")
    with pytest.raises(SpaceError, match="Did you mean 'low'"):
        config.search_space()


def test_an_unknown_phase_names_the_closest(tmp_path: Path) -> None:
    config = config_in(
        tmp_path, PYTHON + SPACE + "[space.phases.second.params]\ny = { type = 'int', low = 1, high = 2 }\n"
    )
    with pytest.raises(ConfigError, match="Did you mean 'second'"):
        config.in_phase("secnd")


def test_the_words_of_other_tools_make_the_same_study(tmp_path: Path) -> None:
    ours = """
        [space.params]
        lr = { type = "float", low = 0.01, high = 0.3, log = true, when = { kind = ["a"] } }
        kind = { type = "categorical", choices = ["a", "b"] }
        """
    theirs = """
        [space.params]
        lr = { type = "loguniform", lower = 0.01, upper = 0.3, when = { kind = ["a"] } }
        kind = { values = ["a", "b"] }
        """
    spaces = [config_in(tmp_path, PYTHON + dedent(text)).search_space() for text in (ours, theirs)]
    assert spaces[0].to_dict() == spaces[1].to_dict()
    section = config_in(tmp_path, PYTHON + dedent(theirs)).space
    settled, _ = settle(section.params, [], {"kind": "a"})
    assert SearchSpace.of(settled).params["lr"] == FloatParam("lr", 0.01, 0.3, log=True)


def test_a_list_in_the_place_of_a_parameter_holds_its_choices(tmp_path: Path) -> None:
    listed = 'kind = ["x", "y", { null = true }]\nn = [1, 10]\n'
    declared = (
        'kind = { type = "categorical", choices = ["x", "y", { null = true }] }\n'
        'n = { type = "categorical", choices = [1, 10] }\n'
    )
    head = PYTHON + "[space.params]\n"
    spaces = [config_in(tmp_path, head + params).search_space() for params in (listed, declared)]
    assert spaces[0].to_dict() == spaces[1].to_dict()
    with pytest.raises(SpaceError, match="kind"):
        config_in(tmp_path, head + "kind = []\n").search_space()


def test_a_misspelt_word_of_another_tool_is_told_as_ours_are(tmp_path: Path) -> None:
    text = PYTHON + "[space.params]\nx = { type = 'loguniform', lower = 0.1, uper = 1.0 }\n"
    with pytest.raises(SpaceError, match=r"Unknown key 'uper' in .* parameter 'x'\. Did you mean 'upper'"):
        config_in(tmp_path, text).search_space()


def test_what_is_fixed_leaves_the_space_with_all_that_hangs_on_it(tmp_path: Path) -> None:
    params = """
        booster = { type = "categorical", choices = ["gbtree", "dart"] }
        rate = { type = "float", low = 0.0, high = 1.0, when = { booster = ["dart"] } }
        depth = { type = "int", low = 1, high = 9, when = { booster = "gbtree" } }
        kind = { type = "categorical", choices = ["x", "y"] }
        [[space.constraints]]
        forbid = { booster = "gbtree", kind = "y" }
        [[space.constraints]]
        forbid = { booster = ["dart"], kind = "x" }
        """
    section = config_in(tmp_path, PYTHON + "[space.params]\n" + params).space
    left, constraints = settle(section.params, list(section.constraints), {"booster": "gbtree"})
    assert set(left) == {"depth", "kind"}
    assert "when" not in left["depth"]
    assert constraints == [{"forbid": {"kind": "y"}}]


def test_a_parameter_is_searched_or_fixed(tmp_path: Path) -> None:
    config = config_in(tmp_path, PYTHON + "fixed = { x = 1.0 }\n" + SPACE)
    with pytest.raises(ConfigError, match="searched or fixed, not both: x"):
        config.search_space()


def test_a_fixed_parameter_of_a_preset_is_not_searched(tmp_path: Path) -> None:
    config = tabular(
        tmp_path, model="xgboost", fixed={"n_estimators": 20}, rest="[space]\npreset = 'xgboost/aggressive'\n"
    )
    assert "n_estimators" not in config.search_space().names
    config = tabular(
        tmp_path,
        model="xgboost",
        fixed={"booster": "gbtree"},
        rest="[space]\npreset = 'xgboost/aggressive'\n",
    )
    assert not {"booster", "rate_drop", "skip_drop"} & set(config.search_space().names)


def test_loading_imports_nothing_heavy(tmp_path: Path) -> None:
    tabular(tmp_path)
    code = (
        "import sys; from retrain.config import load_config; from retrain.pipelines import load_pipeline\n"
        "load_pipeline(load_config())\n"
        "print([m for m in ('sklearn', 'xgboost', 'pandas', 'ray', 'scipy', 'skopt') if m in sys.modules])"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_a_network_file_system_is_allowed_by_file_or_environment(tmp_path: Path) -> None:
    assert not config_in(tmp_path, COMMAND).allow_network_fs
    assert config_in(tmp_path, f"allow_network_fs = true\n{COMMAND}").allow_network_fs
    (tmp_path / "retrain.toml").write_text(COMMAND)
    assert load_config(tmp_path, environ={"RETRAIN_ALLOW_NETWORK_FS": "true"}).allow_network_fs


# ---- goals beside the metric

TABULAR = "[pipeline]\nmodel = 'xgboost'\ndata = 'breast_cancer'\nmetric = 'roc_auc'\n"


def test_objectives_and_limits_are_read_with_the_directions_that_are_known(tmp_path: Path) -> None:
    (tmp_path / "retrain.toml").write_text(
        TABULAR
        + "[[objective]]\nmetric = 'predict_ms'\n[[objective]]\nmetric = 'f1'\n"
        + "[[limit]]\nmetric = 'model_kb'\nmax = 500\n[[limit]]\nmetric = 'predict_ms'\nmin = 0.5\nmax = 5\n"
    )
    assert load_config(tmp_path / "retrain.toml", environ={}).goals.to_dict() == {
        "objectives": [
            {"metric": "predict_ms", "direction": "minimize"},
            {"metric": "f1", "direction": "maximize"},
        ],
        "limits": [
            {"metric": "model_kb", "max": 500.0},
            {"metric": "predict_ms", "min": 0.5, "max": 5.0},
        ],
    }


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[[limit]]\nmetric = 'predict_mss'\nmax = 5\n", "Did you mean 'predict_ms'?"),
        ("[[limit]]\nmetric = 'predict_ms'\n", "needs min, max or both"),
        ("[[limit]]\nmetric = 'predict_ms'\nmax = 1\nmin = 2\n", "min <= max must hold"),
        ("[[limit]]\nmetric = 'roc_auc'\nmin = 0.9\n", "is the pipeline's own metric already"),
        ("[[limit]]\nmetric = 'f1'\nmin = 0.9\n[[limit]]\nmetric = 'f1'\nmax = 1\n", "is there twice: 'f1'"),
        ("[[limit]]\nmetric = 'rmse'\nmax = 5\n", "is not defined where roc_auc is: 'rmse'"),
        ("[[objective]]\nmetric = 'f1'\ndirection = 'minimize'\n", "must be 'maximize' (or left out) for f1"),
        ("[[objective]]\nmetrik = 'f1'\n", "Did you mean 'metric'?"),
        ("[[limits]]\nmetric = 'f1'\nmax = 1\n", "Did you mean 'limit'?"),
        ("[[objectives]]\nmetric = 'f1'\n", "Did you mean 'objective'?"),
    ],
)
def test_goals_that_make_no_sense_are_named(tmp_path: Path, text: str, part: str) -> None:
    assert part in fault_of(tmp_path, TABULAR + text)


def test_an_objective_of_an_unknown_metric_needs_its_direction(tmp_path: Path) -> None:
    command = "[pipeline]\nkind = 'command'\ncommand = 'sh a.sh'\nmetric = 'rmse'\n"
    assert "direction" in fault_of(tmp_path, command + "[[objective]]\nmetric = 'watts'\n")
    text = command + "[[objective]]\nmetric = 'watts'\ndirection = 'minimize'\n"
    (tmp_path / "retrain.toml").write_text(text)
    [objective] = load_config(tmp_path / "retrain.toml", environ={}).goals.objectives
    assert (objective.metric, objective.direction) == ("watts", "minimize")
