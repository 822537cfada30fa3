"""`retrain lint` on pipelines with one planted fault each, and on sound ones."""

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from retrain.cli import cli, run_command
from retrain.config import Config
from retrain.doctor import Finding, Verdict
from retrain.lint import lint
from retrain.lint.variations import active_in, others
from tests.retrain.projects import config_in, mixed_frame, tabular
from tuner.space import CategoricalParam, FloatParam, IntParam, SearchSpace, Sum

HEAD = '[pipeline]\nkind = "mine.py:train"\nmetric = "score"\ndirection = "maximize"\n'
SPACE = """
[space.params]
x = { type = "float", low = 0.0, high = 1.0, default = 0.2 }
depth = { type = "int", low = 1, high = 9, default = 3 }
kind = { type = "categorical", choices = ["a", "b"] }
rate = { type = "float", low = 0.0, high = 1.0, when = { kind = ["b"] } }
"""
SOUND = """
def train(params, report):
    own = params["x"] + params["depth"] / 10 + (params["kind"] == "b") * (1 + params.get("rate", 0))
    for fold in (0, 1):
        report(fold, {"score": own + fold})
    return {"score": own + 0.5, "fit_seconds": __import__("time").perf_counter()}
"""


_names = count()


def of(folder: Path, code: str, head: str = HEAD, space: str = SPACE) -> Config:
    """A project of its own module: one that was imported once stays as it is."""
    name = f"mine_{next(_names)}.py"
    (folder / name).write_text(code)
    return config_in(folder, head.replace("mine.py", name) + space)


def faults(config: Config, **options: object) -> list[Finding]:
    return [each for each in lint(config, **options) if each.verdict is not Verdict.OK]  # type: ignore[arg-type]


def the_fault(config: Config) -> Finding:
    (found,) = faults(config)
    return found


def test_a_sound_pipeline_has_no_faults(tmp_path: Path) -> None:
    told: list[str] = []
    findings = lint(of(tmp_path, SOUND), tell=told.append)
    assert {each.verdict for each in findings} == {Verdict.OK}
    details = [each.detail for each in findings]
    assert "score is 1, to maximize" in details
    assert "score is the mean (folds) of its 2 reports" in details
    assert "the defaults score the same, in a fresh process too" in details
    assert "each of 4 changes the score" in details
    assert "the function takes none, so that repeats of it confirm nothing" in details
    assert len(told) == 3 + 4 + 0, "defaults thrice, and each parameter once: kind = 'b' has a rate, too"


def test_a_sound_table_has_no_faults(tmp_path: Path) -> None:
    mixed_frame(200).drop(columns="day").to_csv(tmp_path / "data.csv", index=False)
    rest = "[space.params]\nmax_depth = { type = 'int', low = 1, high = 6 }\n[splits]\nfolds = 2\n"
    config = tabular(tmp_path, rest=rest, fixed={"n_estimators": 5})
    assert faults(config) == []


# ---- parameters


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ('params["x"]', "0.2", "x"),
        ('params["depth"]', 'params.get("dept", 3)', "depth"),
        ('(params["kind"] == "b") * (1 + params.get("rate", 0))', "0 * params.get('rate', 0)", "kind"),
        (' + params.get("rate", 0)', "", "rate"),
    ],
)
def test_a_parameter_that_changes_nothing_is_named(tmp_path: Path, old: str, new: str, name: str) -> None:
    assert old in SOUND
    found = faults(of(tmp_path, SOUND.replace(old, new)))
    assert found[0].verdict is Verdict.WARNING
    assert found[0].check == "parameters"
    assert found[0].detail.startswith(f"{name!r} changes nothing: ")
    assert "It takes names that do not exist" in found[0].remedy
    assert [each.detail.split()[0] for each in found[1:]] == (["'rate'"] if name == "kind" else [])


def test_a_parameter_that_is_only_repeated_in_the_result_changes_nothing(tmp_path: Path) -> None:
    code = SOUND.replace('params["x"]', "0.2").replace(
        '{"score": own + 0.5', '{"x": params["x"], "score": own + 0.5'
    )
    assert "though the result repeats it" in the_fault(of(tmp_path, code)).detail


def test_what_acts_only_far_away_is_found_out(tmp_path: Path) -> None:
    code = SOUND.replace('params["x"]', '(params["x"] == 0.0)')
    assert faults(of(tmp_path, code)) == []


def test_a_pipeline_that_ignores_everything_is_a_problem(tmp_path: Path) -> None:
    found = the_fault(of(tmp_path, "def train(params):\n    return 0.5\n"))
    assert found.verdict is Verdict.PROBLEM
    assert found.detail == "none of 'x', 'depth', 'kind', 'rate' changes score: what is given is ignored"


def test_a_pipeline_that_refuses_unknown_names_gets_no_hint(tmp_path: Path) -> None:
    code = SOUND.replace('params["x"]', "0.2").replace(
        "    own =", "    assert set(params) <= {'x', 'depth', 'kind', 'rate'}\n    own ="
    )
    assert "names that do not exist" not in the_fault(of(tmp_path, code)).remedy


def test_an_end_of_the_space_that_fails_is_told(tmp_path: Path) -> None:
    code = SOUND.replace("    own =", "    assert params['depth'] < 9, 'too deep'\n    own =")
    found = the_fault(of(tmp_path, code))
    assert (found.check, found.verdict) == ("failure", Verdict.WARNING)
    assert found.detail == "depth = 9 has no score: AssertionError: too deep"
    code = SOUND.replace("own + 0.5,", 'own + 0.5 if params["x"] < 1 else float("nan"),')
    assert "x = 1.0 has no score: The metric 'score' is nan" in the_fault(of(tmp_path, code)).detail


# ---- seeds


@pytest.mark.parametrize(
    ("code", "where"),
    [
        ("import random\n" + SOUND.replace("own =", "own = random.random() +"), "again in the same process"),
        (
            "calls = []\n" + SOUND.replace("own =", "calls.append(0)\n    own = len(calls) +"),
            "again in the same process",
        ),
        ("import os\n" + SOUND.replace("own =", "own = os.getpid() +"), "in a fresh process"),
        (
            "names = list({str(i) for i in range(50)})\n"
            + SOUND.replace("own =", "own = sum(i * int(n) for i, n in enumerate(names)) +"),
            "in a fresh process",
        ),
    ],
    ids=["random", "state", "process", "order of a set"],
)  # fmt: skip
def test_a_score_that_differs_at_a_fixed_seed_is_a_warning(tmp_path: Path, code: str, where: str) -> None:
    found = the_fault(of(tmp_path, code))
    assert (found.check, found.verdict) == ("same seed", Verdict.WARNING)
    assert where in found.detail


def test_the_last_digits_are_no_fault(tmp_path: Path) -> None:
    code = "import os\n" + SOUND.replace("own + 0.5,", "own + 0.5 + 1e-13 * (os.getpid() % 97),")
    assert faults(of(tmp_path, code)) == []


def test_a_program_that_ignores_its_seed_cannot_be_confirmed(tmp_path: Path) -> None:
    head = '[pipeline]\nkind = "command"\ncommand = "sh run.sh"\nparams_as = "json"\ndirection = "maximize"\n'
    space = '[space.params]\nx = { type = "int", low = 0, high = 9 }\n'
    (tmp_path / "run.sh").write_text('x=$(tr -dc 0-9); echo "{\\"value\\": $x}"\n')
    (found,) = faults(config_in(tmp_path, head + space))
    assert (found.check, found.verdict) == ("other seed", Verdict.WARNING)
    (tmp_path / "run.sh").write_text('x=$(tr -dc 0-9); echo "{\\"value\\": $RETRAIN_SEED.$x}"\n')
    assert faults(config_in(tmp_path, head + space)) == []


# ---- results


@pytest.mark.parametrize(
    ("metric", "direction", "verdict"),
    [("accuracy", "minimize", Verdict.PROBLEM), ("my_loss", "maximize", Verdict.WARNING)],
)
def test_a_direction_that_its_name_contradicts(
    tmp_path: Path, metric: str, direction: str, verdict: Verdict
) -> None:
    head = f'[pipeline]\nkind = "mine.py:train"\nmetric = "{metric}"\ndirection = "{direction}"\n'
    found = the_fault(of(tmp_path, SOUND.replace('"score"', f'"{metric}"'), head))
    assert (found.check, found.verdict) == ("direction", verdict)


def test_worse_than_guessing_is_a_warning(tmp_path: Path) -> None:
    head = HEAD.replace('"score"', '"roc_auc"')
    code = SOUND.replace('"score"', '"roc_auc"').replace("own =", "own = -0.9 +")
    found = the_fault(of(tmp_path, code, head))
    assert (found.check, found.detail.split(",")[0]) == ("direction", "roc_auc is 0.1 with the defaults")


def test_reports_that_do_not_belong_to_the_value_are_a_warning(tmp_path: Path) -> None:
    found = the_fault(of(tmp_path, SOUND.replace("own + 0.5", "own + 0.25")))
    assert found.check == "reports"
    assert "0.75" in found.detail
    found = the_fault(of(tmp_path, SOUND.replace('report(fold, {"score"', 'report(fold, {"loss"')))
    assert (found.check, "hold loss, but not score" in found.detail) == ("reports", True)


@pytest.mark.parametrize(
    "code", ["def train(params):\n    return float('nan')\n", "def train(params):\n    return params['no']\n"]
)
def test_defaults_that_cannot_be_scored_are_a_problem(tmp_path: Path, code: str) -> None:
    found = the_fault(of(tmp_path, code))
    assert (found.check, found.verdict) == ("defaults", Verdict.PROBLEM)


# ---- the budget, and the command


def test_it_stops_after_so_many_runs_and_says_so(tmp_path: Path) -> None:
    told: list[str] = []
    (found,) = faults(of(tmp_path, SOUND), runs=4, tell=told.append)
    assert (found.check, len(told)) == ("budget", 4)
    assert "after 4 evaluations" in found.detail


def test_it_starts_nothing_that_would_end_too_late(tmp_path: Path) -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 2.0  # each evaluation looks at the clock thrice
        return now

    told: list[str] = []
    (found,) = faults(of(tmp_path, SOUND), timeout_s=30.0, clock=clock, tell=told.append)
    assert found.check == "budget"
    assert 2 <= len(told) < 7


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = run_command(cli, "retrain", ["lint", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_the_command(tmp_path: Path, run: Callable[..., tuple[int, str, str]]) -> None:
    of(tmp_path, SOUND.replace('params["x"]', "0.2"))
    before = set(tmp_path.iterdir())
    code, out, err = run()
    assert code == 0, "a parameter that changes nothing makes no result wrong"
    assert "warning  parameters" in out
    assert "1: the defaults: 1 (" in err
    assert {path for path in tmp_path.iterdir() if path.name != "__pycache__"} == before
    of(tmp_path, "def train(params):\n    return 0.5\n")
    code, out, _ = run("--format", "json", "--runs", "20", "--timeout", "1m")
    assert code == 1
    assert not json.loads(out)["healthy"]


# ---- variations


def test_a_parameter_moves_far_first_and_takes_along_what_it_must() -> None:
    space = SearchSpace([FloatParam("x", 0.0, 1.0, default=0.2), IntParam("n", 1, 9, default=9)])
    assert [each["x"] for each in others(space, space.defaults(), "x")][:2] == [1.0, 0.0]
    assert next(each["n"] for each in others(space, space.defaults(), "n")) == 1
    weights = [FloatParam(name, 0.0, 1.0) for name in "ab"]
    space = SearchSpace(weights, [Sum(["a", "b"], 1.0)])
    for each in others(space, space.defaults(), "a"):
        assert space.contains(each)
        assert each["a"] != space.defaults()["a"]


def test_a_conditional_parameter_is_looked_at_where_it_is_active() -> None:
    space = SearchSpace(
        [
            CategoricalParam("solver", ["one", "two"]),
            CategoricalParam("penalty", ["l1", "l2"], when={"solver": ["two"]}),
            FloatParam("ratio", 0.0, 1.0, when={"penalty": ["l2"]}),
        ]
    )
    base = active_in(space, "ratio")
    assert base is not None
    assert (base["solver"], base["penalty"]) == ("two", "l2")
    assert all(space.contains(each) for each in others(space, base, "ratio"))
