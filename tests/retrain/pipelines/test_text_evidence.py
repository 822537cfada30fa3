"""Spans in texts, alone, beside labels from shared features, and jointly with them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from retrain.config import load_config
from retrain.deploy.golden import golden_document
from retrain.doctor import Verdict, _data
from retrain.pipeline import Pipeline
from retrain.pipelines import load_pipeline
from retrain.pipelines.artifact import load_model
from retrain.pipelines.text_evidence import EvidencePipeline
from retrain.pipelines.text_heads import EvidenceModel, Tokens, insides
from retrain.pipelines.tfidf import Counter, learn
from retrain.reloading import predict_afresh
from retrain.results import ResultError
from tests.contracts.pipeline_contract import PipelineContract, evaluate
from tests.retrain.projects import config_in, tabular
from tuner.errors import ConfigError, DataError, StorageError

SIGNS = ("chest pain", "fever", "dry cough", "rash", "knee swelling")
DESIGN = "[splits]\ngroup = 'doc'\nfolds = 2\nholdout = 0.2\n"


def span_frame(n: int = 60, seed: int = 0) -> pd.DataFrame:
    """Sentences in which a sign stands, denied or reported; the span says where."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        sign, label = str(rng.choice(SIGNS)), int(rng.integers(2))
        before = ("She denies any", "He reports the")[label]
        text = f"{before} {sign} since {rng.choice(['May', 'June', 'July'])}."
        rows.append((f"d{i // 3}", text, label, len(before) + 1, len(before) + 1 + len(sign)))
    return pd.DataFrame(rows, columns=["doc", "text", "label", "start", "end"])


def project(
    folder: Path,
    architecture: str = "span",
    frame: pd.DataFrame | None = None,
    rest: str = DESIGN,
    **pipeline: Any,
) -> EvidencePipeline:
    (span_frame() if frame is None else frame).to_csv(folder / "texts.csv", index=False)
    keys: dict[str, Any] = {
        "kind": "text",
        "model": "naive_bayes",
        "data": "texts.csv",
        "text": "text",
        "target": None if architecture == "span" else "label",
        "spans": ["start", "end"],
        "architecture": architecture,
        "metric": "span_f1" if architecture == "span" else "mean_f1",
        **pipeline,
    }
    loaded = load_pipeline(tabular(folder, rest=rest, **keys))
    assert isinstance(loaded, EvidencePipeline)
    return loaded


def bound(folder: Path, *args: Any, **options: Any) -> EvidencePipeline:
    pipeline = project(folder, *args, **options)
    pipeline.use(pipeline.load())
    return pipeline


class TestContract(PipelineContract):
    has_data = True

    @pytest.fixture(params=["span", "share", "joint"])
    def pipeline(self, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
        return project(tmp_path_factory.mktemp("project"), request.param)


# ---- tokens


def test_a_token_has_the_words_around_it_each_at_its_place() -> None:
    texts = np.array(["no fever today", "fever"], dtype=object)
    features = learn({}, Counter(texts), np.arange(2))
    fever, no, today = (features.parts[0].terms.index(word) for word in ("fever", "no", "today"))
    matrix = Tokens(texts).matrix(features, window=1).toarray()
    assert matrix.shape == (4, 9)
    seen = [set(np.flatnonzero(row)) for row in matrix]
    before, own, after = 0, 3, 6
    assert seen == [
        {own + no, after + fever},
        {before + no, own + fever, after + today},
        {before + fever, own + today},
        {own + fever},  # of the next text, with nothing of the one before
    ]
    of_texts = features.transform(texts)
    with_text = Tokens(texts).matrix(features, 0, of_texts).toarray()
    np.testing.assert_array_equal(with_text[:, 3:], of_texts.toarray()[[0, 0, 0, 1]])


def test_characters_are_those_of_the_token_alone_where_there_are_words() -> None:
    texts = np.array(["no fever", "a rash"], dtype=object)
    both = learn({"tfidf_analyzer": "both"}, Counter(texts), np.arange(2))
    words, characters = (len(part.terms) for part in both.parts)
    assert Tokens(texts).matrix(both, window=2).shape[1] == 5 * words + characters
    alone = learn({"tfidf_analyzer": "char_wb"}, Counter(texts), np.arange(2))
    assert Tokens(texts).matrix(alone, window=1).shape[1] == 3 * characters


def test_tokens_know_the_class_of_the_span_they_touch() -> None:
    found = Tokens(["no fever, chills now"])
    assert insides(found, [((3, 8, 0), (10, 16, 1))]).tolist() == [0, 1, 0, 2, 0]
    assert found.spans(np.array([False, True, True, False, True])) == [((3, 9), (17, 20))]


# ---- scoring and fitting


@pytest.mark.parametrize("architecture", ["span", "share", "joint"])
def test_it_finds_labels_and_spans_of_texts_it_has_not_seen(tmp_path: Path, architecture: str) -> None:
    pipeline = bound(tmp_path, architecture)
    evaluation, reports = evaluate(pipeline)
    assert evaluation.value > 0.8
    assert [step for step, _ in reports] == [0, 1]
    model = pipeline.fit(pipeline.space.defaults(), 0)
    [said] = pipeline.predict_rows(model, [{"text": "She denies any dry cough since May."}])
    spans = said if architecture == "span" else said[2]
    assert spans == [[15, 24]]
    if architecture != "span":
        assert said[0] == 0
        scores = evaluation.metrics
        assert evaluation.value == pytest.approx((scores["f1_macro"] + scores["span_f1"]) / 2, abs=1e-9)


def test_a_text_with_several_spans_is_scored_once_and_all_its_spans_count(tmp_path: Path) -> None:
    text = "She denies any fever and rash."
    rows = [("x", text, 0, 15, 20), ("x", text, 0, 25, 29), ("y", text, 0, 15, 20), ("z", text, 0, -1, -1)]
    frame = pd.concat([span_frame(), pd.DataFrame(rows, columns=span_frame().columns)], ignore_index=True)
    table: Any = bound(tmp_path, frame=frame).data.table
    assert table.spans[60:].tolist() == [((15, 20, 0), (25, 29, 0))] * 2 + [((15, 20, 0),), ()]
    assert table.whole[60:].tolist() == [True, False, True, False]


def test_where_nothing_is_to_be_found_finding_nothing_is_right(tmp_path: Path) -> None:
    frame = span_frame()
    frame.loc[:5, "end"] = frame.loc[:5, "start"]
    table: Any = bound(tmp_path, frame=frame).data.table
    assert table.spans[0] == ()
    assert table.whole[:6].any()


def test_the_threshold_and_the_window_are_searched(tmp_path: Path) -> None:
    pipeline = bound(tmp_path)
    assert {"span_window", "span_threshold", "tfidf_analyzer"} <= set(pipeline.space.names)
    params = pipeline.space.defaults()
    none = evaluate(pipeline, {**params, "span_threshold": 1.01})[0]
    assert none.value == 0.0
    model = pipeline.fit({**params, "span_window": 4}, 0)
    assert model.window == 4
    assert pipeline.fit_rule(model)["columns"] == ["text"]


def test_a_model_without_probabilities_has_thresholds_too(tmp_path: Path) -> None:
    for architecture in ("share", "joint"):
        evaluation, _ = evaluate(bound(tmp_path, architecture, model="linear_svm"))
        assert evaluation.value > 0.8


def test_a_choice_among_models_is_one_space(tmp_path: Path) -> None:
    pipeline = bound(tmp_path, model=["naive_bayes", "sgd"])
    assert {"model", "sgd_alpha", "span_window"} <= set(pipeline.space.names)
    one = pipeline.space.repair({**pipeline.space.defaults(), "model": "sgd"})
    assert pipeline.fit(one, 0).family == "sgd"


def test_folds_without_a_known_span_are_a_failure(tmp_path: Path) -> None:
    frame = span_frame()
    frame.loc[frame["doc"] != "d3", ["start", "end"]] = -1
    with pytest.raises(ResultError, match="known span"):
        evaluate(bound(tmp_path, frame=frame))


@pytest.mark.parametrize("change", ["start", "label", "text"])
def test_the_fingerprint_is_of_all_that_is_learned_from(tmp_path: Path, change: str) -> None:
    frame = span_frame()
    before = bound(tmp_path, "share", frame).provenance().data
    other = {"start": frame["start"] + 1, "label": 1 - frame["label"], "text": frame["text"] + " "}
    assert bound(tmp_path, "share", frame.assign(**{change: other[change]})).provenance().data != before


def test_labels_and_spans_can_be_limits(tmp_path: Path) -> None:
    goals = "[[limit]]\nmetric = 'accuracy'\nmin = 0.5\n[[limit]]\nmetric = 'span_recall'\nmin = 0.5\n"
    evaluation, _ = evaluate(bound(tmp_path, "joint", rest=DESIGN + goals))
    assert {"accuracy", "span_recall", "span_precision", "f1_macro"} <= set(evaluation.metrics)


# ---- the stored model


@pytest.mark.parametrize("architecture", ["share", "joint"])
def test_a_fresh_process_predicts_the_golden_rows(tmp_path: Path, architecture: str) -> None:
    pipeline = bound(tmp_path, architecture)
    model = pipeline.fit(pipeline.space.defaults(), 0)
    folder = tmp_path / "model"
    folder.mkdir()
    pipeline.save(model, folder)
    document = golden_document(load_config(tmp_path, environ={}), pipeline, model)
    found = predict_afresh(folder, "text", document["rows"], tmp_path / "retrain.toml")
    assert found == document["predictions"]
    again = load_model(folder)
    assert isinstance(again, EvidenceModel)
    assert again.predict_rows(document["rows"]) == model.predict_rows(document["rows"])
    (folder / "span" / "model.skops").unlink()
    with pytest.raises(StorageError, match="cannot be read"):
        pipeline.load_model(folder)


# ---- bad input


@pytest.mark.parametrize(
    ("frame", "part"),
    [
        (span_frame().assign(end=500), "Each span must lie within its text"),
        (span_frame().assign(start=lambda f: f["end"] + 1), "but 60 do not: row 1 has"),
        (span_frame().assign(start=-3), "0 <= start <= end <= length"),
        (span_frame().assign(start=-1, end=-1), "must hold spans, but none is known"),
        (span_frame().assign(end=lambda f: f["start"]), "but all known are empty"),
        (span_frame().assign(start="a"), "'start' must hold positions, but holds no numbers"),
        (span_frame().assign(start=0.5), "must hold whole numbers"),
        (span_frame().assign(start=math.inf), "must hold whole numbers"),
        (span_frame().assign(end=1e30), "must hold whole numbers"),
        (span_frame().drop(columns="end"), "no column 'end', as spans names it"),
        (span_frame().drop(columns="label"), "no column 'label', as target names it"),
        (span_frame().assign(label=1), "at least two classes, but every row is 1"),
    ],
)
def test_bad_data_is_one_sentence(tmp_path: Path, frame: pd.DataFrame, part: str) -> None:
    with pytest.raises(DataError) as caught:
        project(tmp_path, "joint", frame).load()
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "part"),
    [
        ("metric = 'span_f1'", "must be another one for architecture = 'label', but got 'span_f1'"),
        ("metric = 'f1_macro'\nspans = ['a', 'b']", "must be span_f1, span_precision, span_recall, mean_f1"),
        ("metric = 'span_f1'\nspans = ['a']", "`pipeline.spans` must be two columns"),
        ("metric = 'mean_f1'\nspans = ['a', 'b']\narchitecture = 'span'", "`pipeline.target` has no meaning"),
        (
            "metric = 'f1'\nspans = ['a', 'b']\narchitecture = 'label'",
            "`pipeline.spans` has no meaning for arch",
        ),
        ("metric = 'f1'\narchitecture = 'both'", "must be 'label', 'span', 'share' or 'joint'"),
    ],
)
def test_a_faulty_configuration_is_refused(tmp_path: Path, keys: str, part: str) -> None:
    base = "[pipeline]\nkind = 'text'\nmodel = 'sgd'\ndata = 'x.csv'\ntext = 't'\ntarget = 'y'\n"
    with pytest.raises(ConfigError) as caught:
        config_in(tmp_path, base + keys + "\n")
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("fixed", "part"),
    [
        ({"span_widow": 3}, "Unknown parameter 'span_widow' of spans. Did you mean 'span_window'"),
        ({"span_window": -1}, "span_window must be a whole number of at least 0, but is -1"),
        ({"span_window": 2.0}, "span_window must be a whole number of at least 0, but is 2.0"),
        ({"span_threshold": 5.0}, "span_threshold must be a probability, in [0, 1], but is 5.0"),
        ({"tfidf_around": 2}, "Unknown parameter 'tfidf_around'"),
    ],
)
def test_parameters_that_spans_cannot_have_are_refused(
    tmp_path: Path, fixed: dict[str, Any], part: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        project(tmp_path, fixed=fixed)
    assert part in str(caught.value)


def test_a_range_that_spans_cannot_have_is_refused(tmp_path: Path) -> None:
    wide = "[space]\npreset = 'default'\n[space.params]\nspan_window = { type = 'int', low = -2, high = 2 }\n"
    with pytest.raises(ConfigError, match="span_window must be a whole number of at least 0, but is -2"):
        project(tmp_path, rest=DESIGN + wide)


def test_steps_on_the_way_of_a_fold_are_refused_for_spans(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be 'folds' for spans, but is 'samples'"):
        project(tmp_path, rest=DESIGN + "[pruning]\npruner = 'asha'\nsteps = 'samples'\n")


def test_the_doctor_looks_at_the_columns_of_spans(tmp_path: Path) -> None:
    project(tmp_path)
    config = load_config(tmp_path, environ={})
    assert [each.verdict for each in _data(config)] == [Verdict.OK]
    span_frame().drop(columns="end").to_csv(tmp_path / "texts.csv", index=False)
    with pytest.raises(DataError, match="no column 'end', as spans names it"):
        list(_data(config))
