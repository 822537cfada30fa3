"""What `--apply-hp` takes, and what it refuses without changing anything."""

import io
import json
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from retrain.config import Config
from retrain.deploy import parse_params_input
from retrain.typed_json import MAX_BYTES
from tests.retrain.deploy.project import BETTER, GOOD, SPACE, Project
from tuner.errors import GateError, NotFoundError, ParamsError, UsageError
from tuner.experiment import Direction, Evaluation, Failure, Outcome, Provenance, Suggestion
from tuner.registry import open_registry
from tuner.registry.base import Limits, Registry, RegistryReader, StudySpec


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Config, RegistryReader]]:
    """One project for all input that must leave it as it is."""
    project = Project(tmp_path_factory.mktemp("untouched"))
    project.apply(GOOD)
    with open_registry(str(project.root / "experiments.db"), create=False, read_only=True) as registry:
        registry.studies()  # SQLite makes its -wal file at the first look
        yield project, project.config, registry


def parse(project: Project, text: str, stdin: bytes = b"") -> Any:
    with project.registry() as registry:
        return parse_params_input(text, project.config, registry, SPACE, stdin=io.BytesIO(stdin))


def run_experiments(registry: Registry) -> list[str]:
    """One complete experiment with GOOD, one failed; their public ids."""
    study = registry.open_study(
        StudySpec("ridge", SPACE.to_dict(), "rmse", Direction.MINIMIZE, SPACE.defaults(), 0)
    )
    registry.add(study, [Suggestion(GOOD, "random"), Suggestion(BETTER, "grid")])
    first, second = registry.claim(study, 2)
    registry.complete(first, Evaluation(0.5), Provenance("toy", "c", "m"))
    registry.fail(second, Failure(Outcome.ERROR, "ValueError: x"), Limits(failures=1))
    return [first.experiment.public_id, second.experiment.public_id]


def test_partial_json_changes_only_what_it_names(project: Project) -> None:
    """The rest stays as deployed: by the target file at first, by the active version later."""
    assert parse(project, '{"degree": 3}').params == {"alpha": 0.5, "degree": 3, "centred": True}
    project.apply(BETTER)
    assert parse(project, '{"degree": 3}').params == {"alpha": 0.001, "degree": 3, "centred": False}
    assert parse(project, "{}").params == BETTER
    assert parse(project, "  {}\n").experiment is None


def test_a_file_and_stdin(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "hp.json"
    path.write_text('{"alpha": 2}')
    assert parse(project, f"@{path}").params["alpha"] == 2.0
    assert parse(project, "-", b'{"alpha": 3}').params["alpha"] == 3.0


def test_an_experiment_by_any_prefix_and_best(project: Project) -> None:
    with project.registry() as registry:
        complete, failed = run_experiments(registry)
    for text in (complete, "random", complete[:9], "best", " best "):
        found = parse(project, text)
        assert (found.params, found.experiment) == (GOOD, complete)
    with pytest.raises(GateError, match=f"Only a complete experiment can be applied, but {failed} is failed"):
        parse(project, "grid")
    with pytest.raises(NotFoundError):
        parse(project, "bayesian_2026")


def test_the_start_of_an_id_is_one_of_the_study_first(project: Project) -> None:
    with project.registry() as registry:
        complete, _ = run_experiments(registry)
        spec = StudySpec("other", SPACE.to_dict(), "rmse", Direction.MINIMIZE, SPACE.defaults(), 0)
        registry.add(registry.open_study(spec), [Suggestion(BETTER, "random")])
    assert parse(project, "random").experiment == complete


def test_best_without_a_result_says_what_to_run(project: Project) -> None:
    with pytest.raises(NotFoundError) as caught:
        parse(project, "best")
    assert caught.value.exit_code == 6
    assert "orchestrator" in caught.value.remedy


def test_every_fault_is_named_at_once(project: Project) -> None:
    with pytest.raises(ParamsError) as caught:
        parse(project, '{"alhpa": 1, "degree": 9, "centred": "yes"}')
    text = " ".join(caught.value.problems)
    assert "alhpa" in text
    assert "Did you mean 'alpha'" in text
    assert "'degree' must be a whole number in [1, 4]" in text
    assert "'centred' must be one of" in text


BROKEN: list[bytes] = [
    b'', b' ', b'\n\n', b'{', b'}', b'{}}', b'{} {}', b'{},', b'[', b'[]', b'[1]', b'null', b'true', b'1',
    b'0.1', b'"alpha"', b'{"alpha"', b'{"alpha":', b'{"alpha": }', b'{"alpha": 1,}', b'{"alpha" 1}',
    b'{alpha: 1}', b"{'alpha': 1}", b'{"alpha": 1', b'{"alpha": 1} x', b'{"alpha": 1}{"alpha": 2}',
    b'\xef\xbb\xbf{"alpha": 1}', b'{"alpha": NaN}', b'{"alpha": Infinity}', b'{"alpha": -Infinity}',
    b'{"alpha": 1e999}', b'{"alpha": nan}', b'{"alpha": 1, "alpha": 2}', b'{"alpha": 01}', b'{"alpha": .5}',
    b'{"alpha": 5.}', b'{"alpha": 0x1}', b'{"alpha": +1}', b'{"alpha": 1_0}', b'{"alpha": "1"}',
    b'{"alpha": true}', b'{"alpha": null}', b'{"alpha": [1]}', b'{"alpha": {}}',
    b'{"degree": 9223372036854775808}', b'{"degree": 2.5}', b'{"": 1}', b'{"alpha": "\\ud800"}',
    b'{"alpha": "\\u0000"}', b'{"alp\x00ha": 1}', b'{"alpha": "\xff"}', b'\xff\xfe{\x00}\x00',
    b'{"alpha": 1} // c', b'/* c */ {"alpha": 1}', b'True', b'None', b'---\nalpha: 1\n', b'alpha=1',
    b'<xml/>', b'{"unknown": 1}', b'{"alpha": -1}', b'{"centred": 1}', b'[' * 100000, b'{"a":' * 100000,
    b'9' * 5000, b'{"degree": ' + b'9' * 5000 + b'}', b'{"alpha": "' + b'x' * MAX_BYTES + b'"}',
    b' ' * (2 * MAX_BYTES) + b'{}',
]  # fmt: skip


@pytest.mark.parametrize("data", BROKEN, ids=lambda data: repr(data[:24]))
@pytest.mark.parametrize("way", ["argument", "file", "stdin"])
def test_broken_input_is_one_clear_error_and_changes_nothing(
    way: str, data: bytes, untouched: tuple[Project, Config, RegistryReader], tmp_path: Path
) -> None:
    project, config, registry = untouched
    (tmp_path / "hp.json").write_bytes(data)
    before = project.tree(), database_of(project)
    text = {"file": f"@{tmp_path / 'hp.json'}", "stdin": "-"}.get(way) or data.decode(
        "utf-8", "surrogateescape"
    )
    with pytest.raises((UsageError, NotFoundError)) as caught:
        parse_params_input(text, config, registry, SPACE, stdin=io.BytesIO(data))
    assert caught.value.exit_code in (2, 6)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert (project.tree(), database_of(project)) == before


def database_of(project: Project) -> list[bytes]:
    return [
        path.read_bytes() for path in sorted(project.root.glob("experiments.db*")) if "shm" not in path.name
    ]


def no_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return bool(data.strip())
    return False


@pytest.mark.parametrize(
    "data",
    [data for data in BROKEN if no_json(data) and len(data) < MAX_BYTES],
    ids=lambda data: repr(data[:24]),
)
def test_what_does_not_parse_has_its_line_and_column(
    data: bytes, untouched: tuple[Project, Config, RegistryReader], tmp_path: Path
) -> None:
    _, config, registry = untouched
    path = tmp_path / "hp.json"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r" \d+:\d+\b"):
        parse_params_input(f"@{path}", config, registry, SPACE)


def test_a_position_is_given_for_what_does_not_parse(project: Project) -> None:
    with pytest.raises(UsageError, match="2:12"):
        parse(project, '{\n  "alpha": x\n}')


@pytest.mark.parametrize("name", ["missing.json", ".", "nul\0"])
def test_a_file_that_cannot_be_read(name: str, project: Project) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        parse(project, f"@{name}")


def test_an_endless_file_is_not_read_to_its_end(project: Project) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UsageError, match="1,000,000 bytes"):
        parse(project, "@/dev/zero")
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 50_000


def test_a_deployed_value_outside_the_space_is_named_not_replaced(tmp_path: Path) -> None:
    project = Project(tmp_path, content="ALPHA = 500.0\nDEGREE = 1\nCENTRED = True\n")
    with pytest.raises(ParamsError, match="alpha"):
        parse(project, '{"degree": 2}')
    assert parse(project, json.dumps({"degree": 2, "alpha": 1.0})).params["degree"] == 2
