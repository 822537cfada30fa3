"""What the reports say of experiments that a pruner stopped: how many, where they stood, what that saved."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.report import listing, show, summarize, summary_text
from tests.contracts.registry_cases import ON, SPEC, some
from tuner.experiment import Evaluation, Failure, Measurement, Partial, Study
from tuner.registry import open_registry
from tuner.registry.base import Registry
from tuner.space import FloatParam, IntParam, SearchSpace

REAL = replace(SPEC, space=SearchSpace([IntParam("depth", 0, 9), FloatParam("rate", 0.0, 1.0)]).to_dict())
CURVE = (Measurement(10, "roc_auc", 0.5), Measurement(30, "roc_auc", 0.625))


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with open_registry(tmp_path / "experiments.db", create=True, clock=lambda: 1_700_000_000.0) as registry:
        yield registry


@pytest.fixture
def study(registry: Registry) -> Study:
    """Two whole ones of 9 s, three that were stopped after 3 s."""
    study = registry.open_study(REAL)
    registry.add(study, some(5))
    whole, stopped = Evaluation(0.75, duration_s=9.0), Partial(0.625, 30, {}, CURVE, 3.0)
    results: list[Evaluation | Failure | Partial] = [whole, stopped, stopped, whole, stopped]
    registry.finish(list(zip(registry.claim(study, 5), results, strict=True)), ON)
    return study


def test_the_summary_says_what_pruning_saved(registry: Registry, study: Study) -> None:
    summary = summarize(registry, study)
    text = summary_text(summary)
    assert "5 in all: 2 complete, 3 pruned" in text
    assert "3 experiments stopped early, after 9 s in all;" in text
    assert "whole ones would have taken about 18 s more (67% saved)" in text
    assert len(summary.top) == 2
    document = json.loads(summary_text(summary, "json"))
    assert document["pruned"] == {"count": 3, "spent_s": 9.0, "saved_s": 18.0, "n_known": 3}


def test_where_nothing_was_pruned_nothing_is_said(registry: Registry) -> None:
    study = registry.open_study(REAL)
    registry.add(study, some(1))
    assert "stopped early" not in summary_text(summarize(registry, study))


def test_a_list_says_where_it_stood_and_has_no_value(registry: Registry, study: Study) -> None:
    lines = [line for line in listing(registry, study).splitlines() if "pruned" in line]
    assert len(lines) == 3
    assert all("0.625 at step 30" in line for line in lines)
    [first, *_] = [each for each in json.loads(listing(registry, study, output="json")) if "stop" in each]
    assert (first["state"], first["value"], first["stop"]) == ("pruned", None, {"value": 0.625, "step": 30})
    assert first["scored_on"]["data"] == "d1"


def test_one_is_shown_with_its_curve(registry: Registry, study: Study) -> None:
    pruned = registry.experiments(study)[1]
    text = show(registry, pruned.public_id)
    assert "0.625 when it was pruned, at step 30" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["10", "0.5"] in rows
    assert ["30", "0.625"] in rows
