"""Results that the registry would not take: kept beside it, and stored once at the next start, or dropped."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import pytest

from orchestrator.spill import Spill
from tests.orchestrator.fakes import Act, scored
from tests.orchestrator.test_driver import HERE, Bench, Refusing, ok, open_bench
from tuner.errors import BusyError, NotARegistryError, StorageError
from tuner.experiment import Evaluation, Failure, Measurement, Outcome, Provenance, State
from tuner.registry import Claim, Registry, open_registry

RICH = Evaluation(0.1 + 0.2, 1e-300, {"f1": 0.25}, (Measurement(0, "auc", 0.5),), 1.5)
FAILED = Failure(Outcome.TIMEOUT, "zu spät", "tb", (Measurement(1, "auc", 0.5),), 2.0)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = open_bench(tmp_path / "experiments.db")
    with bench.registry:
        yield bench


@pytest.fixture
def spill(tmp_path: Path) -> Spill:
    return Spill.of(f"sqlite:///{tmp_path / 'experiments.db'}", tmp_path)


@pytest.fixture
def claims(bench: Bench) -> list[Claim]:
    bench.add(3)
    return bench.registry.claim(bench.study, 3)


@pytest.fixture
def told() -> list[str]:
    return []


def next_start(path: Path, spill: Spill, told: list[str]) -> Registry:
    registry = open_registry(path, create=True)
    spill.bring_in(registry, told.append)
    registry.recover()
    return registry


def test_what_is_kept_is_stored_whole_by_the_next_start(
    bench: Bench, spill: Spill, claims: list[Claim], told: list[str], tmp_path: Path
) -> None:
    spill.keep([(claims[0], RICH)], HERE)
    spill.keep([(claims[1], FAILED), (claims[2], Evaluation(0.5))], Provenance("other", "c", "m"))
    bench.registry.close()  # its owner is dead from here on
    with next_start(tmp_path / "experiments.db", spill, told) as registry:
        one, two, three = registry.experiments()
        assert (one.value, one.std_error, one.metrics, one.duration_s) == (
            0.1 + 0.2,
            1e-300,
            {"f1": 0.25},
            1.5,
        )
        assert registry.measurements(one) == list(RICH.measurements)
        assert (two.state, two.failures, two.error) == (State.WAITING, 1, "zu spät")
        assert (three.value, three.provenance) == (0.5, Provenance("other", "c", "m"))
        assert {one.interruptions, two.interruptions, three.interruptions} == {0}
    assert told == ["stored 3 results kept in experiments.db.spill.jsonl, which the registry had refused"]
    assert not spill.path.exists()


def test_a_result_whose_experiment_was_taken_back_is_dropped(
    bench: Bench, spill: Spill, claims: list[Claim], told: list[str], tmp_path: Path
) -> None:
    bench.registry.close()
    with open_registry(tmp_path / "experiments.db", create=False) as other:
        other.recover()
        [again] = other.claim(bench.study)
        spill.keep([(claims[0], Evaluation(0.75))], HERE)
        next_start(tmp_path / "experiments.db", spill, told).close()
        name = claims[0].experiment.public_id
        assert told == [
            f"dropped the value 0.75 kept for {name}: fenced: {name}: attempt 1 is superseded by 2."
        ]
        assert other.complete(again, Evaluation(0.5), HERE).value == 0.5
    assert not spill.path.exists()


def test_a_death_between_storing_and_removing_the_file_stores_nothing_twice(
    bench: Bench, spill: Spill, claims: list[Claim], told: list[str]
) -> None:
    spill.keep([(claims[0], Evaluation(0.75))], HERE)
    kept = spill.path.read_bytes()
    spill.bring_in(bench.registry, told.append)
    spill.path.write_bytes(kept)
    spill.bring_in(bench.registry, told.append)
    assert "attempt 1 has already ended (complete)" in told[-1]
    assert bench.states() == {State.COMPLETE: 1, State.RUNNING: 2}


def test_what_is_of_another_registry_waits_for_it(
    bench: Bench, spill: Spill, claims: list[Claim], told: list[str], tmp_path: Path
) -> None:
    spill.keep([(claims[0], Evaluation(0.75))], HERE)
    with open_registry(tmp_path / "another.db", create=True) as another:
        spill.bring_in(another, told.append)
        spill.keep([(claims[1], Evaluation(0.5))], HERE)
        spill.bring_in(another, told.append)
    spill.bring_in(bench.registry, told.append)
    assert told == [
        "left 1 result in experiments.db.spill.jsonl: not of this registry",
        "left 2 results in experiments.db.spill.jsonl: not of this registry",
        "stored 2 results kept in experiments.db.spill.jsonl, which the registry had refused",
    ]
    assert bench.states() == {State.COMPLETE: 2, State.RUNNING: 1}
    assert not list(tmp_path.glob("*.spill.jsonl*"))


@pytest.mark.parametrize(
    "damage",
    [
        b"[]",
        b"5",
        b'{"evaluation": 5}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"evaluation": {"value": NaN, "metrics": {}, "measurements": []}}',
        b'{"experiment": "a", "evaluation": {"value": "0.5", "metrics": {}, "measurements": []}}',
        b'{"experiment": 1, "provenance": {}, "failure": {"outcome": "no", "measurements": []}}',
    ],
    ids=lambda damage: damage[:20],
)
def test_a_line_that_is_damaged_costs_no_other(
    bench: Bench, spill: Spill, claims: list[Claim], told: list[str], damage: bytes
) -> None:
    spill.keep([(claims[0], Evaluation(0.75))], HERE)
    spill.path.write_bytes(damage + b"\n" + spill.path.read_bytes())
    spill.bring_in(bench.registry, told.append)
    assert told == [
        "dropped a line of experiments.db.spill.jsonl that is not whole",
        "stored 1 result kept in experiments.db.spill.jsonl, which the registry had refused",
    ]


def test_what_is_kept_after_a_line_that_was_torn_is_whole(
    bench: Bench, spill: Spill, claims: list[Claim], told: list[str]
) -> None:
    spill.keep([(claims[0], Evaluation(0.75))], HERE)
    spill.path.write_bytes(spill.path.read_bytes()[:-40])  # killed while it wrote
    spill.keep([(claims[1], Evaluation(0.5))], HERE)
    spill.bring_in(bench.registry, told.append)
    assert told[-1] == "stored 1 result kept in experiments.db.spill.jsonl, which the registry had refused"


def test_two_that_start_at_once_both_go_on(bench: Bench, spill: Spill, claims: list[Claim]) -> None:
    """Each stores what the other has not, and finds the file gone while it waits for it."""
    for _ in range(20):
        spill.keep([(claims[0], Evaluation(0.75))], HERE)
        with ThreadPoolExecutor(2) as both:
            list(both.map(lambda told: spill.bring_in(bench.registry, told.append), ([], [])))
    assert not spill.path.exists()
    assert bench.states() == {State.COMPLETE: 1, State.RUNNING: 2}


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_a_clear_error(
    bench: Bench, spill: Spill, told: list[str], make: Callable[[Path], None]
) -> None:
    make(spill.path)
    with pytest.raises(StorageError, match="cannot be read or written"):
        spill.bring_in(bench.registry, told.append)


def test_a_registry_that_still_refuses_leaves_the_file(
    bench: Bench, spill: Spill, claims: list[Claim], told: list[str]
) -> None:
    spill.keep([(claims[0], Evaluation(0.75))], HERE)
    locked = Refusing(bench.registry, "finish", iter([BusyError("The database is locked.")]))
    with pytest.raises(BusyError):
        spill.bring_in(locked, told.append)  # type: ignore[arg-type]
    spill.bring_in(bench.registry, told.append)
    assert bench.states() == {State.COMPLETE: 1, State.RUNNING: 2}


def test_nothing_kept_is_nothing_to_do(bench: Bench, spill: Spill, told: list[str]) -> None:
    spill.bring_in(bench.registry, told.append)
    assert told == []
    assert not spill.path.exists()


# ---- the driver


def refusing(bench: Bench) -> Registry:
    refused = repeat(BusyError("The database is locked."))
    return Refusing(bench.registry, "finish", refused)  # type: ignore[return-value]


def test_what_ended_and_what_still_ran_is_kept_when_patience_ends(
    bench: Bench, spill: Spill, told: list[str], tmp_path: Path
) -> None:
    """One ends at once, one within the grace after the five minutes, one not."""
    bench.add(3)
    durations = {0.0: 1.0, 1.0: 320.0, 2.0: 10_000.0}

    def behave(task: object) -> Act:
        x = float(task.params["x"])  # type: ignore[attr-defined]
        return scored(x, durations[x])

    with pytest.raises(StorageError, match="locked"):
        bench.driver(bench.pool(behave, 3), registry=refusing(bench), spill=spill, grace_s=30.0).run()
    assert bench.states() == {State.RUNNING: 2, State.WAITING: 1}
    assert [note for note in bench.display.notes if "kept" in note] == [
        f"1 result kept in {spill.path}; the next start stores what is kept there"
    ] * 2
    bench.registry.close()
    with next_start(tmp_path / "experiments.db", spill, told) as registry:
        assert [each.value for each in registry.experiments()] == [0.0, 1.0, None]
        assert [each.attempt for each in registry.experiments()] == [1, 1, 1]


def test_what_ended_is_kept_when_the_time_of_the_run_is_over(bench: Bench, spill: Spill) -> None:
    """One ends at once, one would within the grace, but the time is over before that."""
    bench.add(2)
    clock, began_at = bench.clock, bench.clock.now

    def behave(task: object) -> Act:
        x = float(task.params["x"])  # type: ignore[attr-defined]
        return scored(x, 1.0 + 30.0 * x)

    limits = {"deadline": began_at + 20.0, "overrun_s": 0.6, "grace_s": 30.0}
    with pytest.raises(StorageError, match="locked"):
        bench.driver(bench.pool(behave), registry=refusing(bench), spill=spill, **limits).run()
    assert clock.now - began_at == pytest.approx(20.6)
    assert bench.states() == {State.RUNNING: 1, State.WAITING: 1}
    assert len(spill.path.read_text().splitlines()) == 1


def test_a_registry_that_is_taken_away_under_a_run_loses_nothing(
    bench: Bench, spill: Spill, told: list[str], tmp_path: Path
) -> None:
    bench.add(4)
    path, away = tmp_path / "experiments.db", tmp_path / "away.db"

    def behave(task: object) -> Act:
        x = float(task.params["x"])  # type: ignore[attr-defined]
        if x == 2.0:
            path.rename(away)
        return scored(x, 1.0 + x)

    with pytest.raises(NotARegistryError, match="was deleted"):
        bench.driver(bench.pool(behave, 2), spill=spill, grace_s=30.0).run()
    bench.registry.close()
    away.rename(path)
    with next_start(path, spill, told) as registry:
        values = [each.value for each in registry.experiments()]
        assert values == [0.0, 1.0, 2.0, None]
        assert registry.counts(bench.study)[State.WAITING] == 1
    assert len(told) == 1


def test_without_a_place_to_keep_them_the_experiments_run_again(bench: Bench, spill: Spill) -> None:
    bench.add(1)
    spill.path.mkdir()
    with pytest.raises(StorageError, match="locked"):
        bench.driver(bench.pool(ok), registry=refusing(bench), spill=spill).run()
    assert any("could not be kept" in note for note in bench.display.notes)
    assert bench.states() == {State.WAITING: 1}


KEEP = """
import resource, sys
from pathlib import Path
from orchestrator.spill import Spill
from tests.orchestrator.test_spill import RICH, HERE, Claim
from tuner.registry import open_registry
registry = open_registry(sys.argv[1], create=False)
claims = registry.claim(registry.studies()[0], 3)
spill = Spill.of("sqlite:///" + sys.argv[1], Path())
resource.setrlimit(resource.RLIMIT_FSIZE, (20, resource.RLIM_INFINITY))
try:
    spill.keep([(claims[0], RICH)], HERE)
except OSError:
    assert not spill.path.exists()
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
spill.keep([(claims[0], RICH)], HERE)
resource.setrlimit(resource.RLIMIT_FSIZE, (spill.path.stat().st_size + 20, resource.RLIM_INFINITY))
try:
    spill.keep([(claims[1], RICH)], HERE)
except OSError:
    print("refused")
"""


def test_a_full_disk_spoils_nothing_that_was_kept_before(
    bench: Bench, spill: Spill, told: list[str], tmp_path: Path
) -> None:
    bench.add(3)
    done = subprocess.run(
        [sys.executable, "-c", KEEP, tmp_path / "experiments.db"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "refused\n"
    with next_start(tmp_path / "experiments.db", spill, told) as registry:
        assert [each.value for each in registry.experiments()] == [0.1 + 0.2, None, None]
        assert registry.counts(bench.study)[State.WAITING] == 2
