"""What is asked often is answered from an index: its cost must not grow with the study."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event

from tests.contracts.registry_cases import ON, SPEC, some
from tests.tuner.registry.reading import database_of
from tuner.experiment import Evaluation, State, Study
from tuner.registry import Registry, Run


@pytest.fixture
def study(registry: Registry) -> Study:
    study = registry.open_study(SPEC)
    registry.add(study, some(300))
    for claim in registry.claim(study, 100):
        registry.complete(claim, Evaluation(claim.experiment.id / 7), ON)
    return study


ON_EXPERIMENTS = re.compile(r"(SCAN|SEARCH) (experiments|e)\b")
"""How a plan begins that goes to the experiments, whatever a statement calls them."""


def plans(registry: Registry, act: Callable[[], object]) -> list[str]:
    """How SQLite goes about each statement that `act` sends."""
    sent: list[tuple[str, Any]] = []
    database = database_of(registry)
    event.listen(database.engine, "before_cursor_execute", lambda *args: sent.append((args[2], args[3])))
    act()
    with database.read() as connection:
        return [
            str(row[3])
            for statement, parameters in sent
            if statement.split()[0] in ("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")
            and not isinstance(parameters, list)
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]


OFTEN: dict[str, Callable[[Registry, Study, Run], object]] = {
    "claim": lambda registry, study, run: registry.claim(study, 2),
    "complete": lambda registry, study, run: registry.complete(registry.claim(study)[0], Evaluation(0.5), ON),
    "finish": lambda registry, study, run: registry.finish(
        [(one, Evaluation(0.5)) for one in registry.claim(study, 2)], ON
    ),
    "best": lambda registry, study, run: registry.best(study),
    "recover": lambda registry, study, run: registry.recover(),
    "get_experiment": lambda registry, study, run: registry.get_experiment("random_20231114_221320_007"),
    "add": lambda registry, study, run: registry.add(study, some(3)),
    "failed": lambda registry, study, run: registry.experiments(study, states=[State.FAILED]),
    "of a run": lambda registry, study, run: registry.experiments(study, run=run),
    "latest": lambda registry, study, run: registry.experiments(study, limit=5, newest_first=True),
}


@pytest.mark.parametrize("name", OFTEN)
def test_no_question_reads_every_experiment(registry: Registry, study: Study, name: str) -> None:
    run = registry.start_run(study, method="random", n_wanted=1, seed=0, info={})
    found = plans(registry, lambda: OFTEN[name](registry, study, run))
    ways = [plan for plan in found if ON_EXPERIMENTS.match(plan)]
    assert ways
    whole = [way for way in ways if way.startswith("SCAN") and "USING" not in way]
    assert not whole
    assert "USE TEMP B-TREE FOR ORDER BY" not in found[-1]


def test_guesses_are_found_by_their_ids(registry: Registry, study: Study) -> None:
    """Of which there are few; an index of the study would lead to each of its experiments, at each claim."""
    ways = [way for way in plans(registry, lambda: registry.claim(study, 1)) if ON_EXPERIMENTS.match(way)]
    by_id = [way for way in ways if "public_id>? AND public_id<?" in way]
    waiting = [way for way in ways if "study_id=? AND state=?" in way]
    assert (len(by_id), len(waiting)) == (1, 1), ways
    assert not [way for way in ways if "config_hash" in way]


COUNTED: dict[str, Callable[[Registry, Study, Run], object]] = {
    "counts": lambda registry, study, run: registry.counts(study),
    "counts of a run": lambda registry, study, run: registry.counts(study, run),
    "provenances": lambda registry, study, run: registry.provenances(study),
    "effort": lambda registry, study, run: registry.effort(study),
}


@pytest.mark.parametrize("name", COUNTED)
def test_what_is_counted_as_it_changes_reads_no_experiment(
    registry: Registry, study: Study, name: str
) -> None:
    run = registry.start_run(study, method="random", n_wanted=1, seed=0, info={})
    found = plans(registry, lambda: COUNTED[name](registry, study, run))
    assert found
    assert not [plan for plan in found if "experiments" in plan or plan.startswith("SCAN")]


@pytest.mark.parametrize("known", [{"params": {"depth": 1, "rate": 0.125}}, {"method": "default"}], ids=str)
def test_what_was_scored_is_found_by_its_own_index(
    registry: Registry, study: Study, known: dict[str, Any]
) -> None:
    """Not by walking through all experiments of the study or of the provenance."""
    found = plans(registry, lambda: registry.find_scored(study, ON, **known))
    [way] = [plan for plan in found if ON_EXPERIMENTS.match(plan)]
    assert "config_hash=?" in way or "public_id>?" in way
