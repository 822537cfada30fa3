import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest

from retrain.config import load_config
from retrain.deploy.golden import golden_document
from retrain.pipeline import Pipeline
from retrain.pipelines.artifact import load_model
from retrain.pipelines.folds import LoadedTable
from retrain.pipelines.text import TextPipeline
from retrain.pipelines.text_artifact import TextModel, load_text_model
from retrain.reloading import predict_afresh
from tests.contracts.pipeline_contract import PipelineContract, evaluate
from tests.retrain.pipelines.texts import text_frame, text_project
from tests.retrain.projects import config_in
from tuner.errors import ConfigError, DataError, StorageError

QUICK: dict[str, dict[str, Any]] = {"xgboost": {"n_estimators": 5}, "random_forest": {"n_estimators": 5}}


def bound(folder: Path, *args: Any, **options: Any) -> TextPipeline:
    pipeline = text_project(folder, *args, **options)
    pipeline.use(pipeline.load())
    return pipeline


class TestContract(PipelineContract):
    has_data = True

    @pytest.fixture(params=[("logistic_regression", 2), ("xgboost", 3), ("random_forest", 2)], ids=str)
    def pipeline(self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
        model, n_classes = request.param
        return text_project(
            tmp_path_factory.mktemp("project"),
            text_frame(n_classes=n_classes),
            model=model,
            fixed=QUICK.get(model, {}),
        )


# ---- splits and scores


def test_documents_are_never_parted(tmp_path: Path) -> None:
    """80 % to learn from, 10 % to validate on, 10 % held out, in each of nine folds."""
    pipeline = bound(tmp_path, text_frame(300), rest="[splits]\ngroup = 'doc'\nfolds = 9\nholdout = 0.1\n")
    data, groups = pipeline.data, pipeline.data.table.groups
    assert groups is not None
    parts = [(*split, data.holdout) for split in pipeline._folds_of(0).splits]
    assert len(parts) == 9
    for part in parts:
        assert sum(map(len, part)) == 300
        seen = [set(groups[rows]) for rows in part]
        assert sum(map(len, seen)) == len(set.union(*seen))
        assert [round(len(rows) / 300, 1) for rows in part] == [0.8, 0.1, 0.1]
    assert sorted(np.concatenate([valid for _, valid, _ in parts])) == sorted(data.train)


def test_it_learns(tmp_path: Path) -> None:
    evaluation, reports = evaluate(bound(tmp_path))
    assert evaluation.value > 0.75
    assert evaluation.std_error is not None
    assert [step for step, _ in reports] == [0, 1, 2]
    assert {"accuracy", "log_loss", "fit_seconds"} <= set(evaluation.metrics)


def test_no_experiment_sees_the_holdout(tmp_path: Path) -> None:
    pipeline = bound(tmp_path)
    before = evaluate(pipeline)[0]
    data = pipeline.data
    texts, y = data.table.features.copy(), data.table.y.copy()
    texts[data.holdout], y[data.holdout] = "denies denies denies", 1 - y[data.holdout]
    pipeline.use(LoadedTable(replace(data.table, features=texts, y=y), data.train, data.holdout))
    assert evaluate(pipeline)[0].value == before.value
    model = pipeline.fit(pipeline.space.defaults(), 0)
    pipeline.use(data)
    assert pipeline.test(model) == pipeline.test(pipeline.fit(pipeline.space.defaults(), 0))


def test_the_parameters_of_the_features_are_searched_and_count(tmp_path: Path) -> None:
    pipeline = bound(tmp_path)
    assert {"C", "tfidf_word_ngrams", "tfidf_char_ngrams", "tfidf_min_df"} <= set(pipeline.space.names)
    params = pipeline.space.defaults()
    other = {**params, "tfidf_analyzer": "char_wb", "tfidf_char_ngrams": 3}
    other.pop("tfidf_word_ngrams")
    assert evaluate(pipeline, params)[0].value != evaluate(pipeline, other)[0].value
    assert pipeline.fit(other, 0).features.parts[0].counting["analyzer"] == "char_wb"


def test_an_appetite_is_that_of_the_features_too(tmp_path: Path) -> None:
    few = text_project(tmp_path, rest="[space]\npreset = 'logistic_regression/conservative'\n").space
    many = text_project(tmp_path, rest="[space]\npreset = 'logistic_regression/aggressive'\n").space
    assert {name for name in few.names if name.startswith("tfidf_")} == {
        "tfidf_word_ngrams",
        "tfidf_min_df",
        "tfidf_sublinear_tf",
    }
    assert "tfidf_all_tokens" in many.names


def test_what_is_fixed_wins(tmp_path: Path) -> None:
    pipeline = bound(tmp_path, fixed={"tfidf_analyzer": "char_wb", "C": 2.0})
    assert not {"tfidf_analyzer", "tfidf_word_ngrams", "C"} & set(pipeline.space.names)
    model = pipeline.fit(pipeline.space.defaults(), 0)
    assert model.estimator.C == 2.0
    assert model.features.parts[0].counting["analyzer"] == "char_wb"


def test_a_gate_by_a_column_has_its_groups(tmp_path: Path) -> None:
    gate = "[splits]\ngroup='doc'\nfolds=3\n[[gate]]\nmetric = 'accuracy'\nby = 'site'\nmin = 0.1\n"
    pipeline = bound(tmp_path, rest=gate)
    _, detail = pipeline.evaluate_in_detail(
        pipeline.space.defaults(), lambda *_: None, 0, {"site": ["accuracy"]}
    )
    assert set(detail.groups["site"]["accuracy"]) == {"north", "south"}


def test_costs_are_measured(tmp_path: Path) -> None:
    limits = "".join(f"[[limit]]\nmetric = '{name}'\nmin = 0\n" for name in ("predict_ms", "model_kb"))
    pipeline = bound(tmp_path, rest="[splits]\nfolds = 2\n" + limits)
    assert {"predict_ms", "model_kb"} <= set(evaluate(pipeline)[0].metrics)
    found = pipeline.costs_of(pipeline.fit(pipeline.space.defaults(), 0), ["predict_ms", "model_kb"])
    assert all(value > 0 for value in found.values())


def test_it_travels_without_its_texts(tmp_path: Path) -> None:
    pipeline = text_project(tmp_path)
    alone = len(cloudpickle.dumps(pipeline))
    pipeline.use(pipeline.load())
    evaluate(pipeline)
    assert len(cloudpickle.dumps(pipeline)) < alone + 100  # parameters remember a number or two


@pytest.mark.parametrize("change", ["text", "label", "doc"])
def test_the_fingerprint_is_of_texts_targets_and_documents(tmp_path: Path, change: str) -> None:
    frame = text_frame()
    before = bound(tmp_path, frame).provenance()
    other: dict[str, Any] = {
        "text": frame["text"].str.replace("pain", "pains"),
        "label": frame["label"].sample(frac=1, random_state=0).to_numpy(),
        "doc": [f"d{i // 5:03}" for i in range(len(frame))],
    }
    frame[change] = other[change]
    after = bound(tmp_path, frame).provenance()
    assert before.data != after.data
    assert before.code == after.code
    assert before == bound(tmp_path, text_frame()).provenance()
    assert "'text'" in before.code


# ---- the stored model


@pytest.mark.parametrize("model_name", ["logistic_regression", "xgboost"])
def test_a_fresh_process_predicts_the_golden_rows(tmp_path: Path, model_name: str) -> None:
    pipeline = bound(tmp_path, model=model_name, fixed=QUICK.get(model_name, {}))
    model = pipeline.fit(pipeline.space.defaults(), 0)
    folder = tmp_path / "model"
    folder.mkdir()
    files = pipeline.save(model, folder)
    assert {path.suffix for path in files} <= {".json", ".skops", ".ubj"}
    document = golden_document(load_config(tmp_path, environ={}), pipeline, model)
    assert document["rows"][0].keys() == {"text"}
    assert (
        predict_afresh(folder, "text", document["rows"], tmp_path / "retrain.toml") == document["predictions"]
    )
    again = load_model(folder)
    assert isinstance(again, TextModel)
    given = pd.DataFrame({"doc": [1, 2], "text": ["Denies fever.", "Reports fever."]})
    assert again.predict(given).tolist() == again.predict(given["text"].tolist()).tolist()
    with pytest.raises(DataError, match="must have the columns 'text', but lack them"):
        again.predict(given.drop(columns="text"))
    assert set(again.predict(["Denies fever.", "Reports fever."])) <= {"absent", "present"}
    assert pipeline.test(again) == pipeline.test(model)
    assert pipeline.fit_rule(model)["columns"] == ["text"]


def test_a_row_without_its_text_is_one_sentence(tmp_path: Path) -> None:
    pipeline = bound(tmp_path)
    with pytest.raises(DataError, match="must have a text 'text', but one has None"):
        pipeline.predict_rows(pipeline.fit(pipeline.space.defaults(), 0), [{"texts": "x"}])


@pytest.mark.parametrize("damage", ["missing", "truncated", "newer", "no terms"])
def test_a_damaged_model_folder_is_one_sentence(tmp_path: Path, damage: str) -> None:
    pipeline = bound(tmp_path)
    pipeline.save(pipeline.fit(pipeline.space.defaults(), 0), tmp_path)
    path = tmp_path / "features.json"
    document = json.loads(path.read_text())
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_text(path.read_text()[:40])
    elif damage == "newer":
        path.write_text(json.dumps({**document, "format": 99}))
    else:
        del document["parts"][0]["terms"]
        path.write_text(json.dumps(document))
    with pytest.raises(StorageError, match="format 99" if damage == "newer" else "cannot be read"):
        load_text_model(tmp_path)


# ---- a place that is asked about


def place_frame(n: int = 90) -> pd.DataFrame:
    """Two signs in each sentence, one denied and one reported: only the place says which is asked about."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        signs = rng.choice(["pain", "fever", "cough", "rash"], size=2, replace=False)
        text, k = f"She denies {signs[0]} but reports {signs[1]}.", int(rng.integers(2))
        start = text.index(signs[k])
        rows.append((text, f"d{i // 3}", ("absent", "present")[k], start, start + len(signs[k])))
    return pd.DataFrame(rows, columns=["text", "doc", "label", "start", "end"])


ABOUT: dict[str, Any] = {"model": "linear_svm", "about": ["start", "end"]}


def test_the_place_that_is_asked_about_decides(tmp_path: Path) -> None:
    blind = evaluate(bound(tmp_path, place_frame(), model="linear_svm"))[0]
    about = bound(tmp_path, place_frame(), **ABOUT)
    assert {"tfidf_around", "tfidf_around_weight"} <= set(about.space.names)
    assert blind.value < 0.7 < 0.95 < evaluate(about)[0].value
    assert "about start to end" in about.provenance().code
    moved = place_frame().assign(start=-1, end=-1)
    moved.loc[0, ["start", "end"]] = [0, 3]
    assert bound(tmp_path, moved, **ABOUT).provenance().data != about.provenance().data


def test_a_version_predicts_with_the_place_it_is_asked_about(tmp_path: Path) -> None:
    pipeline = bound(tmp_path, place_frame(), **ABOUT)
    model = pipeline.fit(pipeline.space.defaults(), 0)
    folder = tmp_path / "model"
    folder.mkdir()
    pipeline.save(model, folder)
    document = golden_document(load_config(tmp_path, environ={}), pipeline, model)
    assert document["rows"][0].keys() == {"text", "start", "end"}
    assert pipeline.fit_rule(model)["columns"] == ["text", "start", "end"]
    toml = tmp_path / "retrain.toml"
    assert predict_afresh(folder, "text", document["rows"], toml) == document["predictions"]
    again, text = load_text_model(folder), "She denies pain but reports rash."
    places = [text.index(sign) for sign in ("pain", "rash")]
    asked: list[dict[str, Any]] = [{"text": text, "start": place, "end": place + 4} for place in places]
    assert again.predict_rows(asked) == ["absent", "present"]
    assert list(again.predict(pd.DataFrame(asked))) == ["absent", "present"]
    unknown: list[dict[str, Any]] = [{}, {"start": -1, "end": -1}, {"start": None, "end": ""}]
    nowhere = [{"text": text, **place} for place in unknown]
    assert len(set(again.predict_rows(nowhere))) == 1
    assert list(again.predict(pd.DataFrame(nowhere[:2]))) == again.predict_rows(nowhere[:2])
    for lacking in (["start", "end"], ["end"]):
        names = ", ".join(map(repr, lacking))
        with pytest.raises(DataError, match=f"must have the columns {names}, but lack them"):
            again.predict(pd.DataFrame(asked).drop(columns=lacking))
    for start, end in ((30.0, 99.0), (2.5, 4.0), (-1.0, 3.0), (5.0, 4.0), (0, 10**400)):
        with pytest.raises(DataError, match=f"within its text, but start = {start} and end = {end}"):
            again.predict_rows([{"text": text, "start": start, "end": end}])


def test_a_model_that_was_stored_before_there_were_places_is_read(tmp_path: Path) -> None:
    pipeline = bound(tmp_path)
    model = pipeline.fit(pipeline.space.defaults(), 0)
    rows = pipeline.sample_rows(5)
    expected = model.predict_rows(rows)
    for path in pipeline.save(model, tmp_path):
        if path.suffix == ".json":
            document = json.loads(path.read_text())
            document.pop("about", None)
            for part in document.get("parts", ()):
                del part["weight"]
            path.write_text(json.dumps(document))
    assert load_text_model(tmp_path).predict_rows(rows) == expected


def test_copies_of_a_sentence_are_copies_whatever_is_asked_about(tmp_path: Path) -> None:
    frame = place_frame().assign(text=lambda f: f["text"] + " Nothing else was seen of any note.")
    assert any("word for word" in each for each in bound(tmp_path, frame, **ABOUT).suspicions())


@pytest.mark.parametrize(
    ("frame", "options", "part"),
    [
        (place_frame().assign(end=99), ABOUT, "Each span must lie within its text"),
        (place_frame().drop(columns="end"), ABOUT, "have no column 'end', as about names it"),
    ],
)
def test_places_outside_their_texts_are_refused(
    tmp_path: Path, frame: pd.DataFrame, options: dict[str, Any], part: str
) -> None:
    with pytest.raises(DataError, match=part):
        text_project(tmp_path, frame, **options).load()


# ---- bad input: one sentence, before anything runs


@pytest.mark.parametrize(
    ("frame", "options", "part"),
    [
        (text_frame().drop(columns="label"), {}, "have no column 'label', as target names it"),
        (text_frame().drop(columns="text"), {}, "have no column 'text', as text names it"),
        (text_frame().drop(columns="doc"), {}, "have no column 'doc', as splits.group names it"),
        (text_frame().assign(text=1), {}, "must be text, but hold numbers such as 1"),
        (
            text_frame().assign(text=lambda f: f["text"].where(f.index != 4)),
            {},
            "must be known in every row, but 1 are empty, the first in row 5",
        ),
        (text_frame().assign(label="absent"), {}, "at least two classes, but every row is 'absent'"),
        (text_frame().assign(doc="d"), {}, "at least 2 groups, but there are 1"),
        (
            text_frame().assign(label=lambda f: np.where(f["doc"] == "d004", "present", "absent")),
            {"metric": "accuracy", "rest": "[splits]\ntime = 'doc'\n"},
            "The time 'doc' must be numbers or ISO dates",
        ),
        (text_frame(n_classes=3), {"metric": "f1"}, "needs two classes"),
    ],
)
def test_bad_data_is_one_sentence(
    tmp_path: Path, frame: pd.DataFrame, options: dict[str, Any], part: str
) -> None:
    with pytest.raises(DataError) as caught:
        text_project(tmp_path, frame, **options).load()
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("fixed", "params", "part"),
    [
        ({"tfidf_analyzer": "words"}, "", "must be one of word, char_wb, both, but is 'words'"),
        ({"tfidf_max_features": -5}, "", "must be a whole number of at least 1, but is -5"),
        ({"tfidf_max_df": 5}, "", "tfidf_max_df must be a share of the rows, in (0, 1], but is 5"),
        ({"tfidf_lowercase": "no"}, "", "tfidf_lowercase must be true or false, but is 'no'"),
        ({"tfidf_around": -1}, "", "tfidf_around must be a whole number of at least 0, but is -1"),
        ({"tfidf_around": 4.0}, "", "tfidf_around must be a whole number of at least 0, but is 4.0"),
        ({"tfidf_around_weight": -1}, "", "must be a finite number of at least 0, but is -1"),
        ({}, "tfidf_around = { type = 'int', low = -3, high = 3 }", "of at least 0, but is -3"),
        ({}, "tfidf_word_ngrams = { type = 'categorical', choices = [0, 1] }", "of at least 1, but is 0"),
    ],
)
def test_values_that_no_features_can_be_made_with_are_refused(
    tmp_path: Path, fixed: dict[str, Any], params: str, part: str
) -> None:
    rest = f"[splits]\ngroup = 'doc'\n[space]\npreset = 'default'\n[space.params]\n{params}\n"
    with pytest.raises(ConfigError) as caught:
        text_project(tmp_path, place_frame(), rest, fixed=fixed, **ABOUT)
    assert part in str(caught.value)


def test_a_name_that_is_unknown_is_said_once(tmp_path: Path) -> None:
    rest = (
        "[space]\npreset = 'default'\n[space.params]\ntfidf_min_dif = { type = 'int', low = 1, high = 9 }\n"
    )
    with pytest.raises(ConfigError) as caught:
        text_project(tmp_path, rest=rest)
    assert str(caught.value).count("'tfidf_min_dif'") == 1


def test_one_class_left_to_train_on_is_refused(tmp_path: Path) -> None:
    frame = text_frame(30).assign(day=range(30), label=["absent"] * 26 + ["present"] * 4)
    with pytest.raises(DataError, match="at least two classes, but all are 'absent'"):
        text_project(tmp_path, frame, rest="[splits]\ntime = 'day'\nfolds = 2\n").load()


def test_copies_on_both_sides_are_suspicious_until_trusted(tmp_path: Path) -> None:
    frame = pd.concat([text_frame(60), text_frame(60).assign(doc=lambda f: "again " + f["doc"])])
    pipeline = bound(tmp_path, frame)
    assert any("word for word those of rows learned from" in each for each in pipeline.suspicions())
    assert bound(tmp_path, frame, trusted=["text"]).suspicions() == ()
    assert bound(tmp_path).suspicions() == ()


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        (
            "model = 'sgd'\ntext = 't'\ntarget = 'y'\nmetric = 'f1'\ndata = 'x.csv'\nabout = ['a']",
            "`pipeline.about` must be two columns",
        ),
        (
            "model = 'sgd'\ntext = 't'\nspans = ['a', 'b']\nmetric = 'span_f1'\ndata = 'x'\nabout = ['c']",
            "`pipeline.about` has no meaning for architecture = 'span'",
        ),
        ("model = 'xgboost'\ntarget = 'y'\nmetric = 'f1_macro'\ndata = 'x.csv'", "`pipeline.text` is needed"),
        (
            "model = 'xgboost'\ntext = 'y'\ntarget = 'y'\nmetric = 'f1'\ndata = 'x.csv'",
            "must be another column than the target",
        ),
        (
            "model = 'xgboost'\ntext = 't'\ntarget = 'y'\nmetric = 'f1'\ndata = 'iris'",
            "'iris' has no texts",
        ),
        (
            "model = 'bert'\ntext = 't'\ntarget = 'y'\nmetric = 'f1'\ndata = 'x.csv'",
            "is an unknown model, 'bert'",
        ),
        (
            "model = 'xgboost'\ntext = 't'\ntarget = 'y'\nmetric = 'f1'\ndata = 'x.csv'\ndrop = ['a']",
            "`pipeline.drop` has no meaning for kind = 'text'",
        ),
    ],
)
def test_a_faulty_configuration_is_refused(tmp_path: Path, keys: str, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_in(tmp_path, f"[pipeline]\nkind = 'text'\n{keys}\n")
    assert part in str(caught.value)


def test_a_hyperparameter_that_nobody_takes_is_refused_before_the_data_are_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'tfidf_min_dif'\. Did you mean 'tfidf_min_df'"):
        text_project(tmp_path, fixed={"tfidf_min_dif": 2})
    with pytest.raises(ConfigError, match="Unknown parameter 'tfidf'"):
        text_project(tmp_path, fixed={"tfidf": 2})


def test_epochs_are_steps_of_texts_too(tmp_path: Path) -> None:
    design = "[splits]\ngroup = 'doc'\nfolds = 3\n"
    options = {"model": "sgd", "fixed": {"epochs": 4}}
    whole = evaluate(bound(tmp_path, rest=design, **options))[0]
    steps = bound(tmp_path, rest=design + "[pruning]\npruner = 'asha'\nsteps = 'epochs'\n", **options)
    evaluation, reports = evaluate(steps)
    assert evaluation.value == whole.value
    assert [step for step, _ in reports] == [1, 3]


def test_growing_samples_are_steps_of_texts_too(tmp_path: Path) -> None:
    """As of a table: what a pruner sees on the way changes nothing at the end."""
    design = "[splits]\ngroup = 'doc'\nfolds = 3\n"
    whole = evaluate(bound(tmp_path, rest=design))[0]
    steps = bound(tmp_path, rest=design + "[pruning]\npruner = 'asha'\nsteps = 'samples'\ngrace = 20\n")
    evaluation, reports = evaluate(steps)
    assert evaluation.value == whole.value
    assert [step for step, _ in reports] == [20, 60]
