"""The rules of the house, read from the source: arrows, doors, sizes, public names, light start-up."""

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tuner.experiment import (
    Direction,
    Evaluation,
    Failure,
    Measurement,
    Outcome,
    Provenance,
    Suggestion,
)
from tuner.registry import StudySpec, open_registry
from tuner.space import CategoricalParam, FloatParam, SearchSpace

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("tuner", "retrain", "orchestrator")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))

# Who may import whom among our own packages (itself is always allowed).
ARROWS = {"tuner": set(), "retrain": {"tuner"}, "orchestrator": {"retrain", "tuner"}}

# Inside tuner, these never import each other: a generator is handed observations, never the registry.
SIBLINGS = ("registry", "generators", "pruners", "space")
SIBLING_ARROWS = {("registry", "space"), ("generators", "space"), ("pruners", "space")}

# One third-party library, one door: the only places that may import it.
DOORS = {
    "sqlalchemy": ("tuner/registry/",),
    "alembic": ("tuner/registry/",),
    "pysqlite3": ("tuner/registry/",),
    "psycopg": ("tuner/registry/",),
    "scipy": (
        "tuner/generators/",
        "tuner/pruners/wilcoxon.py",
        "retrain/pipelines/tfidf.py",
        "retrain/pipelines/text_heads.py",
    ),
    "skopt": ("tuner/generators/skopt.py",),
    "optuna": ("tuner/generators/optuna.py", "orchestrator/adapters/optuna"),
    "cmaes": ("tuner/generators/optuna.py",),
    "torch": ("tuner/generators/optuna.py",),
    "xgboost": ("retrain/models/xgboost.py",),
    "lightgbm": ("retrain/models/lightgbm.py",),
    "matplotlib": ("orchestrator/plots/",),
    "ray": ("orchestrator/ray_", "orchestrator/adapters/ray_tune"),
    "click": ("retrain/cli/", "orchestrator/cli/"),
    "tabulate": ("retrain/tables.py",),
    "rich": ("orchestrator/progress.py",),
    "libcst": ("retrain/deploy/",),
    "tomlkit": ("retrain/deploy/",),
    "ruamel": ("retrain/deploy/",),
    "skops": ("retrain/models/", "retrain/deploy/"),
    "pydantic": ("retrain/config",),
}

APPLICATIONS = ("movie", "autopsy", "credit", "nhefs", "negex")
"""The examples' own words: nothing general knows them."""

MENDED_BY_USERS = ("ConfigError", "UsageError", "ParamsError", "SpaceError", "DataError", "MismatchError")

HEAVY = (
    "ray",
    "sklearn",
    "xgboost",
    "pandas",
    "skopt",
    "optuna",
    "scipy",
    "libcst",
    "alembic",
    "psycopg",
    "lightgbm",
    "matplotlib",
)


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    """Every absolute module name that a file imports, wherever in the file, with its line."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; write the whole name"
            module = node.module or ""
            yield module, node.lineno
            for alias in node.names:  # `from tuner import registry` imports a module too
                yield f"{module}.{alias.name}", node.lineno


def where(path: Path, line: int, name: str, rule: str) -> str:
    return f"{path.relative_to(ROOT)}:{line}: imports {name}, but {rule}"


def test_arrows_point_one_way() -> None:
    wrong = []
    for path in SOURCES:
        room = path.relative_to(ROOT).parts[0]
        for name, line in imports_of(path):
            other = name.split(".")[0]
            if other in ROOMS and other != room and other not in ARROWS[room]:
                wrong.append(
                    where(path, line, name, f"{room} may import only {sorted(ARROWS[room]) or 'itself'}")
                )
            if other in ("tests", "benchmarks", "examples"):
                wrong.append(where(path, line, name, "the product never imports its tests"))
    assert not wrong, "\n".join(wrong)


def test_siblings_inside_tuner_do_not_know_each_other() -> None:
    wrong = []
    for path in SOURCES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[0] != "tuner" or parts[1] not in SIBLINGS:
            continue
        for name, line in imports_of(path):
            target = [*name.split("."), ""]
            if target[0] != "tuner" or target[1] not in SIBLINGS or target[1] == parts[1]:
                continue
            if (parts[1], target[1]) not in SIBLING_ARROWS:
                wrong.append(where(path, line, name, f"tuner.{parts[1]} and tuner.{target[1]} are strangers"))
    assert not wrong, "\n".join(wrong)


def test_each_library_has_one_door() -> None:
    wrong = []
    for path in SOURCES:
        relative = path.relative_to(ROOT).as_posix()
        for name, line in imports_of(path):
            doors = DOORS.get(name.split(".")[0])
            if doors and not relative.startswith(doors):
                wrong.append(where(path, line, name, f"its door is {' or '.join(doors)}"))
    assert not wrong, "\n".join(wrong)


def test_the_checks_above_see_what_they_look_for(tmp_path: Path) -> None:
    source = tmp_path / "x.py"
    source.write_text(
        "import ray\ndef f():\n    from orchestrator.driver import Driver\n    from tuner import registry\n"
    )
    assert {name for name, _ in imports_of(source)} >= {"ray", "orchestrator.driver", "tuner.registry"}


def errors_without_a_remedy(source: str) -> list[int]:
    """Lines where an error that the user has to mend says, always or at times, no more than what is wrong."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        if node.func.id in MENDED_BY_USERS:
            remedies = node.args[1:2] + [each.value for each in node.keywords if each.arg == "remedy"]
            empty = any(ast.unparse(each) in ("''", "f''") for one in remedies for each in ast.walk(one))
            if not remedies or empty:
                lines.append(node.lineno)
    return lines


def test_what_users_have_to_mend_says_how() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in SOURCES
        if path.relative_to(ROOT).parts[0] != "tuner"
        for line in errors_without_a_remedy(path.read_text("utf-8"))
    ]
    assert not found, "errors without a `try:` line: " + ", ".join(found)


def test_a_missing_remedy_is_seen() -> None:
    source = "ConfigError('no')\nConfigError('no', 'do')\nConfigError('no', 'do' if x else '')"
    assert errors_without_a_remedy(source) == [1, 3]


def test_no_file_is_over_500_lines() -> None:
    long = {
        str(p.relative_to(ROOT)): n for p in SOURCES if (n := len(p.read_text("utf-8").splitlines())) > 500
    }
    assert not long


def public_modules() -> list[str]:
    names = []
    for path in SOURCES:
        parts = path.relative_to(ROOT).with_suffix("").parts
        if "versions" in parts or "migrations" in parts or parts[-1] == "__main__":
            continue
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


@pytest.mark.parametrize("name", public_modules())
def test_all_equals_the_public_names(name: str) -> None:
    """What a module defines without an underscore is in `__all__`, and nothing else is."""
    tree = ast.parse(Path(importlib.util.find_spec(name).origin or "").read_text("utf-8"))  # type: ignore[union-attr]
    defined, declared, imported = set(), None, set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            defined.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and target.id == "__all__" and node.value is not None:
                    declared = set(ast.literal_eval(node.value))
        elif isinstance(node, ast.ImportFrom | ast.Import):
            imported |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    public = {n for n in defined if not n.startswith("_")}
    if declared is None:
        assert not public, f"{name} defines {sorted(public)} but has no __all__"
        return
    assert public <= declared, f"{name}: {sorted(public - declared)} missing from __all__"
    module = importlib.import_module(name)
    absent = [n for n in declared if not hasattr(module, n)]
    assert not absent, f"{name}.__all__ names {absent}, which do not exist"


@pytest.mark.parametrize("module", ["retrain.cli", "orchestrator.cli"])
def test_help_needs_no_more_than_click(module: str) -> None:
    unneeded = ("numpy", "sqlalchemy", "pydantic", "tabulate", "rich", *HEAVY)
    code = (
        f"import sys, {module}; print(sorted({{m.split('.')[0] for m in sys.modules}} & set({unneeded!r})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]", f"import {module} pulls in {done.stdout.strip()}"


@pytest.mark.parametrize(
    "module",
    [
        "tuner",
        "tuner.space",
        "tuner.registry",
        "retrain.config",
        "retrain.cli",
        "orchestrator",
        "orchestrator.adapters",
        "orchestrator.cli",
    ],
)
def test_importing_is_light(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{m.split('.')[0] for m in sys.modules}} & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]", f"import {module} pulls in {done.stdout.strip()}"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration, and a study with a finished experiment and a failed one."""
    folder = tmp_path_factory.mktemp("project")
    space = SearchSpace([FloatParam("x", 0.0, 1.0), CategoricalParam("kind", ["a", "b"])])
    spec = StudySpec("light", space.to_dict(), "value", Direction.MINIMIZE, space.defaults())
    with open_registry(folder / "experiments.db", create=True, clock=lambda: 1_700_000_000.0) as registry:
        study = registry.open_study(spec)
        registry.add(study, [Suggestion({"x": x, "kind": "a"}, "random") for x in (0.5, 0.25, 0.75)])
        one, two, three = registry.claim(study, 3)
        for claim in (one, two):
            folds = [Measurement(step, "value", float(step)) for step in (1, 2)]
            registry.complete(claim, Evaluation(1.5, measurements=tuple(folds)), Provenance())
        registry.fail(three, Failure(Outcome.CANCELLED, "stopped"))
        version = registry.stage_version("light", {"x": 0.5}, manifest={})
        registry.activate(version, action="apply", who="ann", reason="")
    (folder / "retrain.toml").write_text(
        'name = "light"\n[pipeline]\nkind = "objective:train"\nmetric = "value"\ndirection = "minimize"\n'
    )
    return folder


LOOK = """
import sys
from {program}.cli import cli, run_command
code = run_command(cli, "{program}", {arguments!r})
print(code, sorted({{m.split(".")[0] for m in sys.modules}} & set({heavy!r})), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("orchestrator", ["--summary"]),
        ("orchestrator", ["--summary", "--format", "json"]),
        ("orchestrator", ["ls"]),
        ("orchestrator", ["show", "best"]),
        ("orchestrator", ["show", "best", "--lineage"]),
        ("orchestrator", ["diff", "best", "random_20231114_221320_002"]),
        ("retrain", ["--tune-report"]),
        ("retrain", ["--history"]),
    ],
    ids=" ".join,
)
def test_what_only_reads_is_light(project: Path, program: str, arguments: list[str]) -> None:
    """Importing any of these takes longer than the report itself."""
    code = LOOK.format(
        program=program, arguments=arguments, heavy=("numpy", "sqlalchemy", "pydantic", *HEAVY)
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert done.stdout
    assert done.stderr == "0 []\n"


def applications_in(text: str) -> list[str]:
    return [word for word in APPLICATIONS if word in text.lower()]


def test_nothing_general_knows_an_application() -> None:
    general = [path for path in SOURCES if path.relative_to(ROOT).parts[0] != "retrain"]
    general += (ROOT / "tuner").rglob("*.toml")
    named = {path: applications_in(path.read_text("utf-8")) for path in general}
    assert not {path: words for path, words in named.items() if words}
    assert applications_in("def load_movies(): ...") == ["movie"]
