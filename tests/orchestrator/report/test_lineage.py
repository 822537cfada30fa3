"""Where an experiment came from, and what became of it."""

import json

import pytest

from orchestrator.report import lineage
from tests.retrain.story import Story
from tuner.errors import NotFoundError
from tuner.experiment import Suggestion

GIT = {"commit": "0123456789abcdef", "dirty": True, "diff": "fedcba9876543210"}


@pytest.fixture
def traced(story: Story) -> str:
    """An experiment of a run, with a parent, that was deployed, fitted anew, and rolled back from."""
    registry, study = story.registry, story.study
    run = registry.start_run(
        study,
        method="bayesian",
        n_wanted=2,
        seed=7,
        info={
            "argv": ["orchestrator", "--configs", "2"],
            "git": GIT,
            "libraries": {"numpy": "2.0"},
            "host": "h",
        },
    )
    first = story.scored([0.8, 0.9])
    params = {**first.params, "max_depth": 7}
    reason = {"expected improvement": 0.25, "near": {"max_depth": 6}}
    [child] = registry.add(study, [Suggestion(params, "bayesian", reason, parent=first.public_id)], run=run)
    for number, (values, action, experiment) in enumerate(
        [(first.params, "found", None), (params, "apply", child.public_id), (params, "retrain", None)]
    ):
        version = registry.stage_version("breast", values, manifest={"code": GIT}, experiment=experiment)
        registry.activate(version, action=action, who="ann@host", reason="", expect_active=number or None)
    back = registry.versions("breast")[0]
    registry.activate(back, action="rollback", who="bob@host", reason="worse", expect_active=3)
    return child.public_id


def test_all_of_it_is_in_one_place(story: Story, traced: str) -> None:
    document = json.loads(lineage(story.registry, "breast", traced, output="json"))
    assert document["method"] == "bayesian"
    assert document["reason"]["expected improvement"] == 0.25
    assert len(document["ancestors"]) == 1
    assert document["run"]["git"] == GIT
    assert document["run"]["argv"][-1] == "2"
    assert len(document["space"]["sha256"]) == 64
    assert [(v["version"], v["by"]) for v in document["versions"]] == [
        (2, "the experiment"),
        (3, "the same hyperparameters"),
    ]
    assert [(d["action"], d["from"], d["to"]) for d in document["deployments"]] == [
        ("apply", 1, 2),
        ("retrain", 2, 3),
    ]
    text = lineage(story.registry, "breast", traced)
    for part in (
        "expected improvement 0.25, near max_depth 6",
        "0123456789ab and changes fedcba987654",
        "orchestrator --configs 2",
        "numpy 2.0",
        document["ancestors"][0],
        "ann@host",
    ):
        assert part in text
    rows = lineage(story.registry, "breast", traced, output="csv").splitlines()
    assert "versions.0.version,2" in rows
    assert "run.git.commit,0123456789abcdef" in rows


def test_what_was_never_deployed_says_so(told: Story) -> None:
    for experiment in told.registry.experiments(told.study):
        text = lineage(told.registry, "breast", experiment.public_id)
        assert experiment.public_id in text
        assert "None of 'breast' holds its hyperparameters." in text
        assert "none: it was written outside of any" in text
    with pytest.raises(NotFoundError):
        lineage(told.registry, "breast", "nothing")
