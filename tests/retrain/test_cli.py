"""The command `retrain` from its arguments to its exit code, on a pipeline that takes no time."""

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from retrain.cli import cli, run_command
from retrain.config import load_config
from retrain.pipelines import load_pipeline
from tuner.errors import MismatchError
from tuner.experiment import Evaluation, Provenance
from tuner.registry import open_registry

TRAIN = """
def objective(params):
    if params["x"] > 0.9:
        raise ValueError("x is too much")
    return 1 - (params["x"] - 0.5) ** 2
"""

CONFIGURATION = """
name = "toy"
[pipeline]
kind = "train.py:objective"
metric = "score"
direction = "maximize"
[space.params]
x = { type = "float", low = 0.0, high = 1.0, default = 0.2 }
depth = { type = "int", low = 1, high = 9, default = 3 }
[deploy]
target = "model.py"
[[gate]]
metric = "score"
min = 0.8
"""

MODEL = "# mine\nX = 0.2  # the x\nDEPTH = 3\n"

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RETRAIN_")]:
        monkeypatch.delenv(name)
    (tmp_path / "retrain.toml").write_text(CONFIGURATION)
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


@pytest.fixture
def run(project: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `retrain` with these arguments: its exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = run_command(cli, "retrain", arguments)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def content(folder: Path) -> dict[str, bytes]:
    """Every file of the project but the byte code of its module."""
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


# ---- tune


def test_tune_writes_candidates_after_the_reference_rows(run: Run) -> None:
    code, out, err = run("--tune", "--tune-method", "random", "--tune-configs", "4")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "4 random candidates written into study 'toy'.",
        "5 experiments waiting in all.",
        "run them: orchestrator",
    ]
    with open_registry("experiments.db", create=False) as registry:
        (study,) = registry.studies()
        assert [e.method for e in registry.experiments(study)] == ["default", *["random"] * 4]


def test_tune_defaults_to_twenty_bayesian_candidates(run: Run) -> None:
    code, out, _ = run("--tune", "--format", "json")
    document = json.loads(out)
    assert (code, document["method"], len(document["written"])) == (0, "bayesian", 20)
    assert document["n_waiting"] == 21


def test_grid_says_how_far_it_goes(run: Run) -> None:
    _, out, _ = run("--tune", "--tune-method", "grid")
    assert "grid: within 10 % of the baseline.\n" in out
    _, out, _ = run("--tune", "--tune-method", "random")
    assert "of the baseline" not in out


def test_grid_has_its_own_number(run: Run) -> None:
    _, out, _ = run("--tune", "--tune-method", "grid", "--format", "json")
    assert 50 <= len(json.loads(out)["written"]) <= 80


def test_what_is_in_the_target_counts_as_deployed(run: Run, project: Path) -> None:
    (project / "model.py").write_text("X = 0.3\nDEPTH = 3\n")
    run("--tune", "--tune-method", "random", "--tune-configs", "1")
    with open_registry("experiments.db", create=False) as registry:
        methods = {e.method: dict(e.params) for e in registry.experiments(registry.studies()[0])}
    assert methods["deployed"] == {"x": 0.3, "depth": 3}


def test_a_space_that_is_used_up_is_said_so(run: Run, project: Path) -> None:
    small = CONFIGURATION.replace('x = { type = "float", low = 0.0, high = 1.0, default = 0.2 }\n', "")
    (project / "retrain.toml").write_text(small)
    (project / "model.py").unlink()
    code, out, _ = run("--tune", "--tune-method", "random", "--tune-configs", "50")
    assert code == 0
    assert out.splitlines()[0] == "8 random candidates written into study 'toy'."
    assert "50 were wanted, but random has no more that are new." in out


def test_study_and_seed_reach_the_registry_and_the_suggested_command(run: Run) -> None:
    _, out, _ = run("--tune", "--tune-configs", "1", "--study", "my-other", "--seed", "42", "--db", "o.db")
    assert "run them: orchestrator --db o.db --study my-other" in out
    with open_registry("o.db", create=False) as registry:
        assert [(study.name, study.seed) for study in registry.studies()] == [("my-other", 42)]


@pytest.mark.parametrize(("method", "package"), [("gp", "torch"), ("cmaes", "cmaes")])
def test_a_method_whose_package_is_missing_is_refused_before_anything_is_written(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch, method: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    before = content(project)
    code, out, err = run("--tune", "--tune-method", method)
    assert (code, out) == (2, "")
    assert f"The method {method} needs {package}, which cannot be imported" in err
    assert err.splitlines()[-1] == f"try: pip install {package}"
    assert content(project) == before


def test_a_space_of_which_hardly_anything_is_allowed_is_refused(run: Run, project: Path) -> None:
    names = [f"n{i}" for i in range(6)]
    params = "".join(f'{name} = {{ type = "int", low = 0, high = 9 }}\n' for name in names)
    forbids = "".join(
        f"[[space.constraints]]\nforbid = {{ {name} = {list(range(1, 10))} }}\n" for name in names
    )
    head, tail = CONFIGURATION.split("[deploy]")
    (project / "retrain.toml").write_text(f"{head}{params}{forbids}[deploy]{tail}")
    before = content(project)
    for mode in ([], ["--tune-guess", '{"n0": 0}']):
        code, out, err = run("--tune", *mode)
        assert (code, out) == (2, "")
        assert "of 10,000 configurations drawn none is allowed, so that less than 0.03 % are." in err
        assert content(project) == before


def test_guesses_are_queued_to_run_first(run: Run, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "mine.json").write_text('[{"depth": 5}, {"depth": 6, "x": 0.25}]')
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"x": 0.75}')))
    run("--tune", "--tune-method", "random", "--tune-configs", "2")
    code, out, err = run(
        "--tune", "--tune-guess", '{"x": 0.5}', "--tune-guess", "@mine.json", "--tune-guess", "-"
    )
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "4 guesses written into study 'toy', to run first.",
        "7 experiments waiting in all.",
        "run them: orchestrator",
    ]
    with open_registry("experiments.db", create=False) as registry:
        claimed = registry.claim(registry.studies()[0], 5)
    assert [dict(claim.experiment.params) for claim in claimed] == [
        {"x": 0.5, "depth": 3},
        {"x": 0.2, "depth": 5},
        {"x": 0.25, "depth": 6},
        {"x": 0.75, "depth": 3},
        {"x": 0.2, "depth": 3},
    ]


def test_guesses_may_come_with_candidates_and_are_distinct(run: Run) -> None:
    line = ["--tune", "--tune-guess", '{"x": 0.5}', "--tune-guess", '{"x": 0.2}', "--tune-configs", "3"]
    _, out, _ = run(*line)
    lines = out.splitlines()
    assert lines[0] == "1 guess written into study 'toy', to run first."
    assert re.fullmatch(r"1 guess known already: default_\w+\.", lines[1])
    assert lines[2] == "3 bayesian candidates written into study 'toy'."
    document = json.loads(run("--tune", "--tune-guess", '{"x": 0.5}', "--format", "json")[1])
    assert (document["method"], document["written"], document["guesses"]) == (None, [], [])
    assert [each[:6] for each in document["known_guesses"]] == ["guess_"]


@pytest.mark.parametrize(
    ("guess", "error"),
    [
        ('{"x": 2}', "'x' must be a number in [0.0, 1.0], but got 2."),
        ('{"dept": 2}', "Unknown parameter 'dept'. Did you mean 'depth'?"),
        ('[{"x": 0.5}, {"x": 7}]', "Guess 2 of 2: 'x' must be a number in [0.0, 1.0], but got 7."),
        ("3", "A guess must be a JSON object, or a list of them, but --tune-guess holds 3."),
        ("[]", "A guess must be a JSON object, or a list of them, but --tune-guess holds nothing."),
        ("", "A guess must be a JSON object, or a list of them, but --tune-guess holds nothing."),
        ("@no.json", "'no.json' cannot be read: No such file or directory."),
    ],
)
@pytest.mark.parametrize("is_new", [True, False])
def test_a_guess_that_cannot_be_changes_nothing(
    run: Run, project: Path, guess: str, error: str, is_new: bool
) -> None:
    if not is_new:
        with open_registry("experiments.db", create=True):
            pass
    before = content(project)
    code, out, err = run("--tune", "--tune-guess", guess)
    assert (code, out) == (2, "")
    assert err.splitlines()[0] == f"error: {error}"
    assert content(project) == before


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("--tune --tune-method bayesien", "Unknown method 'bayesien'. Did you mean 'bayesian'?"),
        ("--tune --tune-configs 0", "Invalid value for '--tune-configs': it must be at least 1, but got 0."),
        ("--tune --tune-configs many", "Invalid value for '--tune-configs': 'many' is not a whole number."),
        ("--tune --seed -1", "Invalid value for '--seed': it must be at least 0, but got -1."),
        (
            "--tune --seed 9223372036854775808",
            "Invalid value for '--seed': it must fit into 64 bits, but got 9223372036854775808.",
        ),
    ],
)
def test_bad_numbers_and_names_change_nothing(run: Run, project: Path, arguments: str, error: str) -> None:
    before = content(project)
    code, out, err = run(*arguments.split())
    assert (code, out, err.splitlines()[0]) == (2, "", f"error: {error}")
    assert content(project) == before


# ---- flags that contradict each other


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("--tune --history", "--tune and --history exclude each other: give one of them."),
        ("--apply-hp best --rollback", "--apply-hp and --rollback exclude each other: give one of them."),
        ("--tune-configs 5", "--tune-configs goes with --tune, not alone."),
        ("--tune-guess {}", "--tune-guess goes with --tune, not alone."),
        ("--tune-report --tune-method grid", "--tune-method goes with --tune, not with --tune-report."),
        (
            "--tune --dry-run",
            "--dry-run goes with a plain `retrain`, --apply-hp, --rollback, not with --tune.",
        ),
        (
            "--history --dry-run",
            "--dry-run goes with a plain `retrain`, --apply-hp, --rollback, not with --history.",
        ),
        ("--tune doctor", "--tune and the subcommand 'doctor' exclude each other."),
        ("--study s init", "--study and the subcommand 'init' exclude each other."),
    ],
)
def test_contradictions_are_refused(run: Run, project: Path, arguments: str, error: str) -> None:
    before = content(project)
    code, out, err = run(*arguments.split())
    assert (code, out) == (2, "")
    assert err.splitlines() == [f"error: {error}", "try: retrain --help"]
    assert content(project) == before


# ---- the report on the tuning


def test_tune_report(run: Run) -> None:
    run("--tune", "--tune-method", "random", "--tune-configs", "3")
    with open_registry("experiments.db", create=False) as registry:
        study = registry.studies()[0]
        for value, claim in zip((0.9, 0.95), registry.claim(study, 2), strict=True):
            registry.complete(claim, Evaluation(value), Provenance(code="c"))
    code, out, err = run("--tune-report", "--db", "experiments.db")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "Study toy: score, maximize"
    assert lines[3].split() == ["default", "0", "0", "1", "0", "0", "0.9"]
    assert lines[4].split() == ["random", "2", "0", "1", "0", "0", "0.95"]
    assert "  +0.05 (+5.56%) over the baseline" in lines
    assert lines[-2:] == ["2 still to run", "  orchestrator --db experiments.db"]
    rows = list(csv.DictReader(io.StringIO(run("--tune-report", "--format", "csv")[1])))
    assert [(row["method"], row["complete"]) for row in rows] == [("default", "1"), ("random", "1")]
    assert json.loads(run("--tune-report", "--format", "json")[1])["best"]["value"] == 0.95


def test_a_report_on_nothing_is_not_found(run: Run, project: Path) -> None:
    before = content(project)
    assert run("--tune-report")[0] == 6
    assert content(project) == before
    run("--tune", "--tune-configs", "1")
    code, _, err = run("--tune-report", "--study", "toi")
    assert code == 6
    assert err.splitlines()[0] == "error: There is no study 'toi' in this registry. Did you mean 'toy'?"


# ---- apply, retrain, roll back


def test_an_unattended_rollback_keeps_what_was_set_by_hand(run: Run, project: Path) -> None:
    assert run("--apply-hp", '{"x": 0.5}')[0] == 0
    edited = MODEL.replace("0.2", "0.4")
    (project / "model.py").write_text(edited)
    code, out, err = run("--rollback")
    assert (code, out) == (MismatchError.exit_code, "")
    assert "model.py" in err
    assert "--force" in err
    assert (project / "model.py").read_text() == edited
    assert run("--rollback", "--force")[0] == 0
    assert (project / "model.py").read_text() == MODEL


def test_the_whole_way_there_and_back(run: Run, project: Path) -> None:
    code, out, _ = run("--apply-hp", '{"x": 0.5}')
    assert code == 0
    assert "toy: deployed as v2 (before: v1)" in out
    assert "score     0.91      1  +0.09   better" in out
    assert (project / "model.py").read_text() == MODEL.replace("0.2", "0.5")
    code, out, _ = run("--apply-hp", '{"x": 0.5}')
    assert (code, "toy: already active as v2" in out) == (0, True)
    code, out, _ = run("--rollback")
    assert (code, "toy: rolled back to v1 (before: v2)" in out) == (0, True)
    assert "back again: retrain --rollback 2" in out
    assert (project / "model.py").read_text() == MODEL
    code, out, _ = run("--rollback", "v2")
    assert (project / "model.py").read_text() == MODEL.replace("0.2", "0.5")
    code, out, _ = run("--history")
    shown = [[line.split()[0], *line.split()[3:]] for line in out.splitlines()[2:]]
    assert shown == [
        ["1", "found", "0.91"],
        ["2", "apply", "1", "1"],
        ["1", "rollback", "2", "0.91"],
        ["2*", "rollback", "1", "1"],
    ]
    assert "@" in run("--history", "-v")[1], "by whom"
    rows = json.loads(run("--history", "--format", "json")[1])
    assert [row["value"] for row in rows] == [0.91, 1.0, 0.91, 1.0]
    assert [row["active"] for row in rows] == ["", "", "", "*"]
    assert [(row["from"], row["to"]) for row in rows] == [(None, 1), (1, 2), (2, 1), (1, 2)]


def test_a_plain_retrain_deploys_what_is_deployed_anew(run: Run) -> None:
    code, out, err = run()
    assert code == 0
    assert "toy: deployed as v2 (before: v1)" in out
    assert err == "retraining with the deployed hyperparameters ...\n"
    assert run("-q") == (0, "", ""), "a timer that finds nothing to do mails nothing"
    assert "already active as v2" in run()[1]
    assert "deployed as v3" in run("--force")[1]


@pytest.mark.parametrize("arguments", [["--apply-hp", '{"x": 0.5}'], []])
def test_a_dry_run_changes_nothing(run: Run, project: Path, arguments: list[str]) -> None:
    before = content(project)
    code, out, _ = run(*arguments, "--dry-run")
    assert (code, "toy: dry run: the gate is met; nothing was changed" in out) == (0, True)
    if arguments:
        assert "  -X = 0.2  # the x\n  +X = 0.5  # the x" in out
    assert content(project) == before


def test_a_gate_that_is_not_met_ends_with_3(run: Run, project: Path) -> None:
    before = content(project)
    code, out, err = run("--apply-hp", '{"x": 0.0}', "--dry-run")
    assert code == 3
    assert "NOT MET (score-min): score is 0.75, below the min of 0.8" in out
    assert err.splitlines()[1].startswith("error: The gate was not met")
    assert "--dry-run" not in err
    assert content(project) == before
    code, out, err = run("--apply-hp", '{"x": 0.0}')
    assert (code, "error: The gate was not met" in err) == (3, True)
    assert "NOT MET (score-min): score is 0.75, below the min of 0.8" in out, "what was found out is not lost"
    assert out.endswith("toy: the gate is not met: nothing was changed\n")
    document = json.loads(run("--apply-hp", '{"x": 0.0}', "--format", "json")[1])
    assert document["outcome"] == "refused"
    assert (project / "model.py").read_text() == MODEL


def test_a_gate_is_overridden_by_its_name_and_with_a_reason(run: Run, project: Path) -> None:
    given = ("--apply-hp", '{"x": 0.0}')
    before = content(project)
    for options, words in [
        (["--override-gate", "score-min"], "An override needs a reason"),
        (["--override-gate", "score-min", "--reason", " "], "--reason TEXT must say something"),
        (
            ["--override-gate", "score-mn", "--reason", "x"],
            "no gate 'score-mn' to override. Did you mean 'score-min'",
        ),
    ]:
        code, out, err = run(*given, *options)
        assert (code, out) == (2, "")
        assert words in " ".join(err.split())
        assert content(project) == before
    assert run("--rollback", "--override-gate", "default")[0] == 2
    code, out, _ = run(
        *given, "--override-gate", "score-min", "--override-gate", "default", "--reason", "a drill"
    )
    assert code == 0
    assert "gate score-min was overridden: a drill" in out
    code, out, _ = run("--rollback", "--reason", "the drill is over")
    assert code == 0
    out = run("--history", "-v")[1]
    assert "score-min: a drill" in out
    assert "the drill is over" in out


@pytest.mark.parametrize(
    ("given", "code", "expected"),
    [
        ('{"x": 2, "dpth": 1}', 2, ["error:", "  - ", "  - ", "try:"]),
        ('{"x": 0.5,}', 2, ["error:"]),
        ('{"x": 0.5, "x": 0.6}', 2, ["error:"]),
        ('{"x": NaN}', 2, ["error:"]),
        ("@nowhere.json", 2, ["error:"]),
        ("best", 6, ["error:"]),
        ("random_2026", 6, ["error:"]),
        ('{"x": 0.95}', 1, ["error:"]),
    ],
)
def test_bad_hyperparameters_are_one_error_and_change_nothing(
    run: Run, project: Path, given: str, code: int, expected: list[str]
) -> None:
    before = content(project)
    got, out, err = run("--apply-hp", given, "--dry-run", "-q")
    assert (got, out) == (code, "")
    lines = err.splitlines()
    assert all(line.startswith(start) for line, start in zip(lines, expected, strict=False))
    assert "Traceback" not in err
    assert content(project) == before
    if code == 2:
        assert run("--apply-hp", given, "-q")[0] == 2
        assert content(project) == before


def test_a_file_that_is_not_there_is_not_told_to_write_the_at_sign(run: Run) -> None:
    code, _, err = run("--apply-hp", "@nofile", "-q")
    assert code == 2
    assert "'nofile' cannot be read: No such file" in err
    assert "@" not in err.splitlines()[1]


@pytest.mark.parametrize("arguments", [["--apply-hp", '{"x": 0.45}'], ["--force"], ["--rollback"]])
def test_a_dry_run_tells_of_an_edit_by_hand(run: Run, project: Path, arguments: list[str]) -> None:
    run("--apply-hp", '{"x": 0.5}')
    (project / "model.py").write_text(MODEL.replace("0.2", "0.4"))
    _, out, _ = run(*arguments, "--dry-run")
    assert "Notes\n  model.py was edited by hand since version 2, which still counts" in out
    code, _, err = run("--dry-run", "-q")
    assert code == 2
    assert "must hold the hyperparameters of version 2, but was edited by hand" in err


def test_every_fault_is_listed(run: Run) -> None:
    _, _, err = run("--apply-hp", '{"x": 2, "dpth": 1}', "-q")
    assert "Did you mean 'depth'?" in err
    assert "[0.0, 1.0]" in err


def test_the_best_experiment_can_be_applied_by_name_or_as_best(run: Run, project: Path) -> None:
    (project / "retrain.toml").write_text(CONFIGURATION.replace("min = 0.8", "max_drop = 1.0"))
    run("--tune", "--tune-method", "random", "--tune-configs", "2")
    with open_registry("experiments.db", create=False) as registry:
        study = registry.studies()[0]
        here = load_pipeline(load_config()).provenance()
        for value, claim in zip((0.9, 0.8, 0.95), registry.claim(study, 3), strict=True):
            registry.complete(claim, Evaluation(value), here)
        best = registry.best(study)[0]
    by_name = json.loads(run("--apply-hp", best.public_id, "--dry-run", "--format", "json")[1])
    as_best = json.loads(run("--apply-hp", "best", "--dry-run", "--format", "json")[1])
    assert by_name["params"] == as_best["params"] == dict(best.params)
    assert as_best["experiment"] == best.public_id
    assert as_best["outcome"] == "dry_run"
    assert f"{best.public_id} is the best by validation alone" in run("--apply-hp", "best", "--dry-run")[2]

    with (project / "train.py").open("a") as file:
        file.write("\n\ndef other():\n    return 1\n")
    code, _, err = run("--apply-hp", "best", "--dry-run")
    assert code == 2
    assert f"{best.public_id} is that of other code" in err
    assert "orchestrator revalidate --top 5" in err
    assert run("--apply-hp", best.public_id, "--dry-run")[0] == 0, "by its name it can be"


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["--rollback"], 6, "error: There is no registry at"),
        (["--history"], 6, "error: There is no registry at"),
        (["--rollback", "0"], 2, "error: Invalid value for '--rollback': '0' is not the number of a version"),
        (["--rollback", "../../etc"], 2, "error: Invalid value for '--rollback': '../../etc' is not"),
    ],
)
def test_no_way_back(run: Run, project: Path, arguments: list[str], code: int, error: str) -> None:
    before = content(project)
    got, out, err = run(*arguments)
    assert (got, out) == (code, "")
    assert err.startswith(error)
    assert content(project) == before


def test_figures_as_csv(run: Run) -> None:
    rows = list(
        csv.DictReader(io.StringIO(run("--apply-hp", '{"x": 0.5}', "--dry-run", "--format", "csv")[1]))
    )
    assert [(row["metric"], float(row["after"])) for row in rows] == [("score", 1.0)]


def in_a_terminal(project: Path, answer: str, *arguments: str) -> tuple[int, str]:
    """Run `retrain` in a terminal where a person answers the question; its exit code and what was shown."""
    controller, terminal = pty.openpty()
    script = "from retrain.cli import main; main()"
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(root), "NO_COLOR": "1"},
    )
    os.close(terminal)
    os.write(controller, answer.encode() + b"\n")
    shown = b""
    while True:
        try:
            shown += os.read(controller, 65536)
        except OSError:  # the terminal is closed once the process has ended
            break
    os.close(controller)
    return process.wait(timeout=60), shown.decode().replace("\r\n", "\n")


def test_in_a_terminal_nothing_is_deployed_unasked(project: Path) -> None:
    before = content(project)
    code, shown = in_a_terminal(project, "n", "--apply-hp", '{"x": 0.5}')
    assert code == 1
    assert "+X = 0.5" in shown[: shown.index("Deploy this? [y/N]")]
    assert shown.endswith("toy: not confirmed: nothing was changed\n")
    assert {name: data for name, data in content(project).items() if "experiments.db" not in name} == before
    code, shown = in_a_terminal(project, "y", "--apply-hp", '{"x": 0.5}')
    assert code == 0
    assert "deployed as v2" in shown[shown.index("Deploy this? [y/N]") :]
    assert shown.count("+X = 0.5") == 1
    code, shown = in_a_terminal(project, "n", "--rollback")
    assert (code, "Roll back to v1? [y/N]" in shown, "Deploy this?" in shown) == (1, True, False)
    code, shown = in_a_terminal(project, "", "--rollback", "--force")
    assert (code, "Deploy this?" in shown, "rolled back to v1" in shown) == (0, False, True)


def test_more_is_said_where_asked(run: Run, project: Path) -> None:
    _, _, err = run("--tune", "--tune-configs", "1", "-v")
    assert err == f"configuration retrain.toml, registry sqlite:///{project / 'experiments.db'}\n"


# ---- init and doctor


def test_init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(cli, "retrain", ["init", "--example", "digits"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "Written",
        "  retrain.toml, model.py, .gitignore",
        "",
        "Next",
        "  orchestrator --method bayesian --configs 20",
        "  orchestrator --summary",
        "  retrain --apply-hp best --dry-run",
    ]
    assert run_command(cli, "retrain", ["init", "--example", "digits"]) == 2
    assert capsys.readouterr().err.startswith(
        "error: `retrain init` overwrites nothing, but retrain.toml and model.py"
    )
    assert run_command(cli, "retrain", ["init", "--example", "digit", "--format", "json"]) == 2
    assert "Did you mean 'digits'?" in capsys.readouterr().err


def test_doctor_before_and_after(run: Run, project: Path) -> None:
    code, out, _ = run("doctor")
    assert code == 0
    assert "none yet; the first run makes" in out
    run("--apply-hp", '{"x": 0.5}')
    code, out, _ = run("doctor")
    assert code == 0
    assert "2 of 2 match their hashes; v2 is active" in out
    assert max(map(len, out.splitlines())) <= max(80, len(str(project)) + 40)


def test_doctor_reports_what_is_wrong_with_1(run: Run, project: Path) -> None:
    (project / "retrain.toml").write_text(CONFIGURATION.replace("metric =", "mtric =", 1))
    code, out, err = run("doctor", "--format", "json")
    document = json.loads(out)
    assert (code, document["healthy"]) == (1, False)
    assert err == "error: 1 check found a problem: configuration\n"
    (problem,) = [each for each in document["findings"] if each["verdict"] == "problem"]
    assert "Did you mean 'metric'?" in problem["detail"]


# ---- help, and what it costs


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["init", "-h"], ["doctor", "--help"]])
def test_every_command_has_help(run: Run, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    assert out.startswith("Usage: retrain")
    assert max(map(len, out.splitlines())) <= 80


HEAVY = ("ray", "sklearn", "xgboost", "pandas", "skopt", "optuna", "scipy", "libcst")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["--history"], ["--tune-report"], ["doctor", "--help"]]
)
def test_light_commands_import_nothing_heavy(run: Run, project: Path, arguments: list[str]) -> None:
    if arguments[0].startswith(("--hi", "--tune")):
        run("--apply-hp", '{"x": 0.5}')
        run("--tune", "--tune-method", "random", "--tune-configs", "1")
    script = (
        "import sys; from retrain.cli import cli, run_command\n"
        f"code = run_command(cli, 'retrain', {arguments!r})\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], code, file=sys.stderr)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(root)},
        cwd=project,
    )
    assert done.stderr.splitlines()[-1] == "[] 0", done.stderr
