"""The command `orchestrator` from its arguments to its exit code."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from orchestrator import launch as launch_module
from orchestrator.cli import cli
from orchestrator.progress import Bar, Plain, Silent
from orchestrator.request import Request
from orchestrator.signals import Interrupted
from retrain.cli import run_command
from tests.orchestrator.fakes import FakeClock, FakePool, failed, scored
from tests.orchestrator.toy import write_toy
from tuner.errors import PoolError
from tuner.registry import open_registry
from tuner.registry.sqlite_file import dbapi

ROOT = Path(__file__).resolve().parents[2]

HEAVY = {"ray", "sklearn", "xgboost", "pandas", "skopt", "optuna", "scipy", "libcst", "alembic"}

Run = Callable[..., tuple[int, str, str]]

start_pool = launch_module.start_pool


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("RETRAIN_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    write_toy(tmp_path)
    clock = FakeClock()

    def start_pool(request: Request, pipeline: object, data: object, n_workers: int) -> FakePool:
        return FakePool(lambda task: scored(float(task.params["x"])), clock, n_workers)  # type: ignore[arg-type]

    monkeypatch.setattr(launch_module, "start_pool", start_pool)
    return tmp_path


@pytest.fixture
def run(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `orchestrator` with these arguments: its exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["orchestrator", *arguments])
        code = run_command(cli, "orchestrator")
        return code, *capsys.readouterr()

    return run


# ---- running


def test_a_run_from_beginning_to_end(run: Run) -> None:
    code, out, err = run("--method", "random", "--configs", "3", "--workers", "2")
    assert code == 0, err
    assert err.splitlines()[0] == "starting 2 Ray workers ..."
    assert "4/4 done, best loss" in err
    assert out.splitlines()[0].endswith("4 complete, 0 failed")


def test_a_method_whose_package_is_missing_is_refused_before_anything_starts(
    run: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(launch_module, "start_pool", lambda *_: pytest.fail("a pool was started"))
    before = sorted(project.rglob("*.db*"))
    code, out, err = run("--method", "gp", "--configs", "3")
    assert (code, out) == (2, "")
    assert err.startswith("error: The method gp needs torch, which cannot be imported")
    assert err.splitlines()[-1] == "try: pip install torch"
    assert sorted(project.rglob("*.db*")) == before == []


def test_results_go_to_stdout_and_quiet_leaves_nothing_else(run: Run) -> None:
    code, out, err = run("--method", "random", "--configs", "3", "-q", "--format", "json")
    assert (code, err) == (0, "")
    assert json.loads(out)["n_complete"] == 4


def test_no_progress_keeps_what_must_be_known(run: Run) -> None:
    _, _, err = run("--method", "random", "--configs", "3", "--no-progress", "--workers", "1")
    assert err.splitlines() == [
        "starting 1 Ray worker ...",
        "4 experiments to run in study 'toy': 1 waiting, 3 new",
    ]


def test_failures_are_told_by_the_exit_code(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        launch_module, "start_pool", lambda *_: FakePool(lambda task: failed(), FakeClock(), 2)
    )
    code, out, err = run("--method", "random", "--configs", "3")
    assert code == 5
    assert "failed 4 x: error: ValueError: no" in out
    assert err.splitlines()[-2:] == [
        "error: 4 of 4 experiments failed, which is more than --max-failed allows.",
        "try: orchestrator --summary",
    ]
    assert run("--method", "random", "--configs", "1", "--max-failed", "9")[0] == 6, "none has succeeded yet"


def test_a_pipeline_that_always_fails_alike_stops_with_its_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On real workers."""
    Path("train.py").write_text(
        "import math\n\ndef objective(params):\n    return math.sqroot(params['x'])\n"
    )
    line = ["--method", "random", "--configs", "20", "--pool", "local", "--workers", "2"]
    monkeypatch.setattr(launch_module, "start_pool", start_pool)
    code, out, err = run(*line)
    assert code == 1
    assert out.startswith("stopped after ")
    assert f"continue with: orchestrator {' '.join(line)}" in out
    *_, location, source, underline, raised, error, remedy = err.splitlines()
    assert location.endswith('train.py", line 4, in objective')
    assert source.strip() == "return math.sqroot(params['x'])"
    assert set(underline) <= {" ", "^"}
    assert raised == "AttributeError: module 'math' has no attribute 'sqroot'"
    alike = "error: Experiments failed one after another with the same error"
    assert re.match(rf"{alike}, last (default|random)_\w+: {raised}", error), (
        "two workers: either may end last"
    )
    assert remedy.endswith(f"or nevertheless: orchestrator {' '.join(line)} --same-error 0")


def test_without_a_method_what_waits_is_run(run: Run) -> None:
    code, out, err = run("--db", "other.db")
    assert (code, out) == (6, "")
    assert err.splitlines() == [
        "error: Nothing waits in study 'toy'.",
        "try: orchestrator --method bayesian --configs 20 --db other.db",
    ]
    assert not Path("other.db").exists()


def test_every_option_arrives(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def launch(config: Any, request: Request, **around: Any) -> None:
        seen.extend([config, request, around])
        raise PoolError("Enough.")

    monkeypatch.setattr(launch_module, "launch", launch)
    line = [
        *["--method", "grid", "--configs", "9", "--workers", "3", "--pool", "local", "--address", "host:1"],
        *[
            "--timeout",
            "2h",
            "--experiment-timeout",
            "90s",
            "--experiment-memory",
            "2GB",
            "--grace",
            "1m",
            "--max-failed",
            "2",
        ],
        *["--same-error", "4"],
        *["--study", "other", "--seed", "5", "--db", "x.db", "--no-progress"],
    ]
    assert run(*line)[0] == 4
    config, request, around = seen
    assert (config.study_name, Path(config.db.removeprefix("sqlite:///")).name) == ("other", "x.db")
    assert request == Request(
        method="grid",
        n_configs=9,
        n_workers=3,
        pool="local",
        address="host:1",
        timeout_s=7200.0,
        experiment_timeout_s=90.0,
        experiment_memory_bytes=2_000_000_000,
        grace_s=60.0,
        seed=5,
        max_failed=2,
        same_error=4,
        hints_at_memory=True,
        command=("orchestrator", *line),
        flags=" --db x.db --study other",
    )
    assert isinstance(around["display"], Plain)


@pytest.mark.parametrize(("arguments", "kind"), [([], Plain), (["-q"], Silent)])
def test_the_display_fits(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], kind: type
) -> None:
    seen: list[Any] = []

    def launch(config: Any, request: Request, **around: Any) -> None:
        seen.append(around["display"])
        raise PoolError("Enough.")

    monkeypatch.setattr(launch_module, "launch", launch)
    run(*arguments)
    assert isinstance(seen[0], kind)
    assert not isinstance(seen[0], Bar)


def test_an_interruption_before_anything_ran(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def launch(*_: Any, **__: Any) -> None:
        raise Interrupted(143)

    monkeypatch.setattr(launch_module, "launch", launch)
    assert run() == (143, "", "interrupted before anything ran\n")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--method", "baysian"], "Unknown method 'baysian'. Did you mean 'bayesian'?"),
        (["--configs", "0"], "--configs"),
        (["--configs", "many"], "--configs"),
        (["--method", "random", "--seed", str(2**63)], "--seed"),
        (["--summary", "--top", str(2**63)], "--top"),
        (["confirm", "--top", str(2**63)], "--top"),
        (["--timeout", "soon"], "--timeout"),
        (["--timeout", "0"], "--timeout"),
        (["--experiment-timeout", "0.0m"], "it must be more than 0, since nothing is done in no time"),
        (["compare", "--tuning-timeout", "0s"], "--tuning-timeout"),
        (["--grace", "-1"], "--grace"),
        (["--pool", "dask"], "Unknown pool 'dask'"),
        (["--pruner", "ahsa"], "Did you mean 'asha'?"),
        (["--top", "3"], "--top goes with --summary"),
        (["--summary", "--method", "grid"], "--method and --summary exclude each other"),
        (["--method", "grid", "ls"], "--method and the subcommand 'ls' exclude each other"),
        (["lst"], "lst"),
        (["--config", "missing.toml"], "missing.toml"),
        (["--db", "retrain.toml", "--method", "random"], "not a registry"),
    ],
)
def test_bad_arguments_are_one_error_and_change_nothing(
    run: Run, project: Path, arguments: list[str], what: str
) -> None:
    before = {path.name: path.read_bytes() for path in project.iterdir() if path.is_file()}
    code, out, err = run(*arguments)
    assert (code, out) == (4 if "--db" in arguments else 2, "")
    first, *others = err.splitlines()
    assert first.startswith("error: ")
    assert what in first
    assert all(line.startswith("try: ") for line in others)
    assert {path.name: path.read_bytes() for path in project.iterdir() if path.is_file()} == before


# ---- looking


@pytest.fixture
def ids(run: Run) -> Iterator[list[str]]:
    run("--method", "random", "--configs", "3", "-q")
    with open_registry("experiments.db", create=False, read_only=True) as registry:
        yield [each.public_id for each in registry.experiments()]


def test_summary(run: Run, ids: list[str]) -> None:
    code, out, _ = run("--summary", "--top", "2", "--format", "json")
    assert code == 0
    assert len(json.loads(out)["best"]) == 2
    assert "retrain --apply-hp" in run("--summary")[1]


def test_ls_with_filters(run: Run, ids: list[str]) -> None:
    listed = json.loads(run("ls", "--format", "json")[1])
    assert [each["id"] for each in listed] == ids
    assert len(json.loads(run("ls", "--method", "random", "--limit", "2", "--format", "json")[1])) == 2
    assert json.loads(run("ls", "--state", "failed", "--format", "json")[1]) == []


def test_show_and_diff(run: Run, ids: list[str]) -> None:
    assert ids[0] in run("show", "default")[1]
    code, out, _ = run("diff", ids[0], ids[1])
    assert code == 0
    assert "x" in out
    code, _, err = run("show", "nothing_like_it")
    assert code == 6
    assert err.startswith("error: ")


def test_the_start_of_an_id_is_one_of_the_study_first(run: Run, ids: list[str]) -> None:
    run("--method", "random", "--configs", "2", "--study", "other", "--seed", "5", "-q")
    code, out, err = run("show", "default")
    assert (code, "study     toy" in out) == (0, True), err
    assert "study     other" in run("show", "default", "--study", "other")[1]
    code, _, err = run("show", "random")
    assert (code, "several start with 'random'" in err) == (6, True)


def test_an_option_that_was_typed_as_a_command_is_named(run: Run) -> None:
    code, _, err = run("summary")
    assert (code, err.splitlines()[-1]) == (2, "try: orchestrator --summary")
    assert run("sumary")[2].splitlines()[-1] == "try: orchestrator --summary"
    assert run("nonsense")[2].splitlines()[-1] == "try: orchestrator --help"


def test_best_stands_for_the_best_of_the_study(run: Run, ids: list[str]) -> None:
    with open_registry("experiments.db", create=False, read_only=True) as registry:
        best = registry.best(registry.studies()[0])[0].public_id
    assert run("show", "best")[1] == run("show", best)[1] != ""
    assert run("diff", "best", ids[1])[1] == run("diff", best, ids[1])[1] != ""


def test_best_is_that_of_the_study_that_is_named(run: Run, ids: list[str]) -> None:
    run("--method", "random", "--configs", "2", "--study", "other", "--seed", "5", "-q")
    with open_registry("experiments.db", create=False, read_only=True) as registry:
        best = {study.name: registry.best(study)[0].public_id for study in registry.studies()}
    assert best["toy"] != best["other"]
    assert best["other"] in run("show", "best", "--study", "other")[1]
    assert best["toy"] in run("show", "best")[1]
    assert best["other"] in run("diff", "best", best["other"], "--study", "other")[1]


def test_a_holdout_that_there_is_not_has_no_last_word(run: Run, ids: list[str]) -> None:
    out = run("--summary")[1]
    assert "orchestrator confirm" in out
    assert "holdout" not in out


def test_backup_is_a_registry_and_replaces_nothing(run: Run, ids: list[str]) -> None:
    code, out, _ = run("backup", "copy.db")
    assert (code, Path(out.strip())) == (0, Path("copy.db").absolute())
    with open_registry("copy.db", create=False, read_only=True) as registry:
        assert [each.public_id for each in registry.experiments()] == ids
    assert run("backup", "copy.db")[0] == 2


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("in_use", [True, False])
def test_backup_of_a_registry_that_runs_or_rests(run: Run, project: Path, mode: str, in_use: bool) -> None:
    """At rest in WAL mode there is no -wal file, and it is opened for reading in another way."""
    run("--method", "random", "--configs", "3", "-q")
    with closing(dbapi().connect("experiments.db")) as raw:
        assert raw.execute(f"PRAGMA journal_mode={mode}").fetchone() == (mode,)
    before = Path("experiments.db").read_bytes()
    with ExitStack() as stack:
        if in_use:
            raw = stack.enter_context(closing(dbapi().connect("experiments.db")))
            raw.execute("BEGIN IMMEDIATE")  # as a run that is just committing a result
        code, out, err = run("backup", "copy.db")
    assert (code, err) == (0, "")
    with open_registry(out.strip(), create=False, read_only=True) as registry:
        assert len(registry.experiments()) == 4
    assert Path("experiments.db").read_bytes() == before


@pytest.mark.parametrize("arguments", [["--summary"], ["ls"], ["show", "x"], ["backup", "copy.db"]])
def test_looking_where_there_is_nothing_makes_nothing(run: Run, project: Path, arguments: list[str]) -> None:
    code, _, err = run(*arguments)
    assert code == 6
    assert err.startswith("error: There is no registry")
    assert sorted(path.name for path in project.iterdir()) == ["retrain.toml", "train.py"]


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["--summary"], ["ls"], ["show", "default"]])
def test_answers_at_once(run: Run, ids: list[str], project: Path, arguments: list[str]) -> None:
    code = (
        "import sys; from orchestrator.cli import cli; from retrain.cli import run_command\n"
        f"code = run_command(cli, 'orchestrator', {arguments!r})\n"
        f"print(sorted({{name.split('.')[0] for name in sys.modules}} & {HEAVY!r}), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_help_names_every_flag_and_subcommand(run: Run) -> None:
    code, out, _ = run("--help")
    assert "<=9" not in out
    assert code == 0
    for flag in ("method", "configs", "workers", "pool", "address", "timeout", "experiment-timeout", "study"):
        assert re.search(f"--{flag}[ ,]", out)
    for flag in ("seed", "summary", "top", "config", "db", "format", "no-progress", "quiet", "verbose"):
        assert f"--{flag} " in out
    for name in ("ls", "show", "diff", "backup"):
        assert f"\n  {name} " in out
        code, text, _ = run(name, "--help")
        assert (code, "<=9" in text) == (0, False), "the largest number of a registry is no news"
    assert "..." not in out[out.index("\nCommands:") :], "what a command does is said whole"


# ---- warm starts


def test_a_run_can_start_from_an_earlier_study(run: Run) -> None:
    run("--method", "random", "--configs", "8", "--study", "old")
    code, _, err = run("--method", "bayesian", "--configs", "3", "--warm-start", "old")
    assert code == 0, err
    with open_registry("experiments.db", create=False) as registry:
        rows = registry.experiments(registry.find_study("toy"))
    assert [row.reason.get("earlier") for row in rows] == [None, *[{"old": 9}] * 3]
    assert rows[1].reason["design"] == "earlier"


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        ("--warm-start old", "--warm-start goes with --method or --configs.", 2),
        ("--summary --warm-start old", "--warm-start and --summary exclude each other.", 2),
        ("--configs 2 --warm-start old", "There is no study 'old' to start from.", 6),
    ],
)
def test_a_warm_start_that_cannot_be_is_refused(run: Run, arguments: str, message: str, code: int) -> None:
    run("--method", "random", "--configs", "1")
    given, _, err = run(*arguments.split())
    assert given == code
    assert f"error: {message}" in err


class TestPreview:
    def test_nothing_is_run_or_written(self, run: Run, project: Path) -> None:
        before = sorted(project.rglob("*"))
        code, out, err = run("--method", "random", "--configs", "6", "--workers", "2", "--preview")
        assert (code, err) == (0, "")
        assert "experiments  7: 1 waiting, 6 new" in out
        assert "time         unknown before the first have ended" in out
        assert "cost" not in out
        assert [each for each in sorted(project.rglob("*")) if "__pycache__" not in each.parts] == before

    def test_earlier_ones_say_how_long_and_what_it_costs(self, run: Run, project: Path) -> None:
        with (project / "retrain.toml").open("a") as file:
            file.write("[budget]\ncost_per_hour = 3.6\n")
        assert run("--method", "random", "--configs", "5", "--workers", "2")[0] == 0
        code, out, _ = run("--configs", "8", "--workers", "2", "--timeout", "1h", "--preview")
        assert code == 0
        assert "experiments  8: 0 waiting, 8 new" in out
        assert "time         about 4 s, 1 s each so far" in out
        assert "cost         about 0.008, at 3.6 an hour and worker" in out
        found = json.loads(run("--configs", "8", "--workers", "2", "--preview", "--format", "json")[1])
        assert (found["n_new"], found["typical_s"], found["wall_s"], found["cost"]) == (8, 1.0, 4.0, 0.008)

    def test_the_size_of_a_grid_is_known(self, run: Run) -> None:
        said = run("--method", "grid", "--workers", "2", "--preview")[1]
        found = json.loads(run("--method", "grid", "--workers", "2", "--preview", "--format", "json")[1])
        assert f"experiments  {1 + found['n_new']}: 1 waiting, {found['n_new']} new" in said
        code, _, err = run("--method", "grid", "--workers", "2")
        assert code == 0
        n = 1 + found["n_new"]
        assert f"{n}/{n} done" in err
        assert (
            json.loads(run("--method", "grid", "--workers", "2", "--preview", "--format", "json")[1])["n_new"]
            == 0
        )

    def test_an_unfinished_run_lacks_the_rest(self, run: Run, project: Path) -> None:
        assert run("--method", "random", "--configs", "5", "--workers", "2")[0] == 0
        with sqlite3.connect(project / "experiments.db") as database:
            database.execute("UPDATE runs SET ended_at = NULL, n_wanted = 8")
        assert (
            "experiments  3: 0 waiting, 3 new" in run("--method", "random", "--configs", "8", "--preview")[1]
        )
        assert (
            "experiments  9: 0 waiting, 9 new" in run("--method", "random", "--configs", "9", "--preview")[1]
        )

    def test_a_run_says_so_before_it_starts(self, run: Run) -> None:
        run("--method", "random", "--configs", "5", "--workers", "2")
        err = run("--method", "random", "--configs", "8", "--workers", "2")[2]
        assert "time: about 4 s, 1 s each so far\n" in err

    def test_nothing_to_run_is_exit_code_6(self, run: Run) -> None:
        assert run("--preview")[0] == 6

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ('data = "rows.cvs"', "do not exist. Did you mean 'rows.csv'?"),
            ('target = "z"', "no column 'z'"),
            ('metric = "accuracy"', "'accuracy'"),
        ],
    )
    def test_what_the_data_do_not_allow_is_refused_as_the_run_does(
        self, run: Run, project: Path, given: str, message: str
    ) -> None:
        rows = "".join(f"{i},{i * i % 17 + 0.5}\n" for i in range(60))
        (project / "rows.csv").write_text(f"x,y\n{rows}")
        sound = {"model": '"ridge"', "data": '"rows.csv"', "target": '"y"', "metric": '"r2"'}
        asked = ("--method", "random", "--configs", "6", "--workers", "1")

        def write(table: dict[str, str]) -> None:
            lines = "".join(f"{name} = {value}\n" for name, value in table.items())
            (project / "retrain.toml").write_text(f"[pipeline]\n{lines}[space]\npreset = 'default'\n")

        write(sound)
        assert run(*asked, "--preview")[0] == 0
        write({**sound, **dict([given.split(" = ")])})
        refused = run(*asked)
        assert run(*asked, "--preview")[::2] == (2, refused[2].replace("starting 1 Ray worker ...\n", ""))
        assert message in refused[2]
        assert refused[0] == 2

    @pytest.mark.parametrize("bad", [["--method", "bayesan"], ["--pool", "raw"]])
    def test_a_bad_request_is_refused(self, run: Run, bad: list[str]) -> None:
        code, _, err = run("--configs", "8", "--preview", *bad)
        assert code == 2
        assert "Did you mean" in err or "There are" in err
