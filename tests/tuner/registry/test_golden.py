"""One real file for each schema version there ever was: what people have, the present version must read."""

import gzip
import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.registry_cases import ON, SPEC
from tests.tuner.registry.golden.make import FOLDER, make
from tests.tuner.registry.golden.reading import read_all
from tests.tuner.registry.reading import broken, miscounted, objects
from tuner.experiment import Evaluation, Outcome, State
from tuner.registry import open_registry
from tuner.registry.base import Claim
from tuner.registry.engine import connect
from tuner.registry.schema import ENDINGS, SCHEMA_VERSION, metadata

VERSIONS = range(1, SCHEMA_VERSION + 1)


def unpack(version: int, path: Path) -> None:
    path.write_bytes(gzip.decompress((FOLDER / f"v{version}.db.gz").read_bytes()))


def stored(version: int) -> Any:
    return json.loads((FOLDER / f"v{version}.json").read_text())


def of_schema(path: Path) -> int:
    with closing(connect(path, "rw")) as raw:
        return int(raw.execute("PRAGMA user_version").fetchone()[0])


def dump(path: Path) -> list[tuple[Any, ...]]:
    """Every table, rule and row."""
    with closing(connect(path, "rw")) as raw:
        schema = list(raw.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name"))
        tables = [name for kind, name, _ in schema if kind == "table"]
        return schema + [(table, *row) for table in tables for row in raw.execute(f"SELECT * FROM {table}")]


def assert_reads_as(now: Any, then: Any, where: str = "") -> None:
    """All that was there is there, and is the same. There may be more columns and attributes now."""
    if isinstance(then, dict):
        assert now.keys() >= then.keys(), where
        for key, value in then.items():
            assert_reads_as(now[key], value, f"{where}.{key}")
    elif isinstance(then, list) and isinstance(now, Sequence) and not isinstance(now, str):
        assert len(now) == len(then), where
        for place, (one, other) in enumerate(zip(now, then, strict=True)):
            assert_reads_as(one, other, f"{where}[{place}]")
    else:
        assert (now, type(now)) == (then, type(then)), where


def test_every_schema_version_has_its_golden_database() -> None:
    """A new one is made by: python -m tests.tuner.registry.golden.make"""
    made = sorted(path.name for path in FOLDER.glob("v*"))
    assert made == sorted(f"v{n}.{kind}" for n in VERSIONS for kind in ("db.gz", "json"))


@pytest.mark.parametrize("version", VERSIONS)
def test_it_holds_every_kind_of_row(version: int, path: Path) -> None:
    unpack(version, path)
    assert of_schema(path) == version
    rows = stored(version)["rows"]
    assert {table for table in metadata.tables if not rows.get(table, ["of a later version"])} == set()
    assert {row["state"] for row in rows["experiments"]} == {state.value for state in State}
    assert {row["ending"] for row in rows["attempts"]} | {"lost"} == {None, *ENDINGS}
    assert {row["outcome"] for row in rows["experiments"]} >= {None, Outcome.CANCELLED, Outcome.WORKER_LOST}
    assert {row["state"] for row in rows["model_versions"]} == {"staged", "active", "retired"}
    assert {row["action"] for row in rows["deployments"]} == {"found", "apply", "rollback", "retrain"}
    assert {1, 2, 3} <= {row["attempt"] for row in rows["experiments"]}, "tried again"
    assert {row["repeat"] for row in rows["experiments"]} == {0, 1}
    assert any(row["parent_id"] for row in rows["experiments"])
    assert {type(one) for row in rows["experiments"] for one in json.loads(row["params"])} == {
        bool,
        float,
        int,
        str,
        type(None),
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_brought_up_to_date_and_reads_as_it_did(version: int, path: Path) -> None:
    unpack(version, path)
    before = dump(path)
    open_registry(path, create=False).close()
    assert of_schema(path) == SCHEMA_VERSION
    assert broken(path) == {}
    assert_reads_as(read_all(path), stored(version))

    kept = path.with_name(f"{path.name}.schema{version}.backup")
    assert kept.exists() == (version < SCHEMA_VERSION)
    if kept.exists():
        assert (of_schema(kept), dump(kept)) == (version, before)
        kept.unlink()

    after = path.read_bytes()
    open_registry(path, create=False).close()
    assert path.read_bytes() == after, "a second opening has nothing to bring up to date"
    assert sorted(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("version", VERSIONS)
def test_it_becomes_what_the_present_version_would_have_made(version: int, path: Path) -> None:
    unpack(version, path)
    fresh = path.with_name("fresh.db")
    for each in (path, fresh):
        open_registry(each, create=True).close()
    assert objects(path) == objects(fresh)
    with closing(connect(path, "rw")) as raw:
        assert miscounted(raw) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_left_to_do_is_done(version: int, path: Path) -> None:
    """Its owners are dead, and of another host and time; the work goes on from what they left."""
    unpack(version, path)
    held = [row for row in stored(version)["rows"]["experiments"] if row["state"] == "running"]
    waiting = [row for row in stored(version)["rows"]["experiments"] if row["state"] == "waiting"]
    with open_registry(path, create=False) as registry:
        assert [one.public_id for one in registry.recover()] == [row["public_id"] for row in held]
        study = registry.open_study(SPEC)
        claims: list[Claim] = [claim for each in registry.studies() for claim in registry.claim(each, 100)]
        assert len(claims) == len(held) + len(waiting)
        ended = registry.finish([(claim, Evaluation(0.0)) for claim in claims], ON)
        assert [one.state for one in ended if not isinstance(one, Exception)] == [State.COMPLETE] * len(
            claims
        )
        assert registry.best(study, 1, ON)[0].value == 0.875
        assert registry.start_run(study, method="random", n_wanted=12, seed=7, info={}).id == 1, "taken over"
    assert broken(path) == {}


def test_what_makes_it_still_makes_it(path: Path) -> None:
    """So that the next version's can be made; how rows are written may have changed within a version."""
    make(path)
    assert broken(path) == {}
    rows = stored(SCHEMA_VERSION)["rows"]
    assert {name: len(now) for name, now in read_all(path)["rows"].items()} == {
        name: len(then) for name, then in rows.items()
    }
