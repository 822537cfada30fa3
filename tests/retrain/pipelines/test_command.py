import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from retrain.pipeline import Pipeline, Pruned
from retrain.pipelines import load_pipeline, process
from retrain.results import ResultError, failure_of
from tests.contracts.pipeline_contract import PipelineContract, evaluate
from tests.retrain.projects import config_in
from tuner.errors import ConfigError
from tuner.experiment import Outcome, Value

SPACE = """
[space.params]
rate = { type = "float", low = 1e-6, high = 1.0, log = true, default = 0.00001 }
depth = { type = "int", low = 1, high = 9, default = 3 }
kind = { type = "categorical", choices = ["a b", "--x", true, { null = true }] }
"""

SHELL = """#!/bin/sh
# The loss is (depth - 4)^2, reported for three steps on the way.
while [ $# -gt 0 ]; do
    case $1 in
        --depth) depth=$2 ;;
        --rate) rate=$2 ;;
    esac
    shift 2
done
echo "training with $rate"
for step in 0 1 2; do
    echo "{\\"step\\": $step, \\"loss\\": $((10 - step))}"
done
echo "{\\"loss\\": $(((depth - 4) * (depth - 4))), \\"seed\\": $RETRAIN_SEED}"
"""

AWK = r"""
# Reads the parameters as JSON from stdin or a file.
{
    match($0, /"depth":[0-9]+/); depth = substr($0, RSTART + 8, RLENGTH - 8)
    match($0, /"rate":[0-9.e-]+/); rate = substr($0, RSTART + 7, RLENGTH - 7)
    printf "{\"step\": 0, \"loss\": 99}\n"
    printf "{\"loss\": %.6f, \"depth\": %d}\n", rate * depth, depth
}
"""


def project(folder: Path, command: str, script: str = SHELL, more: str = "") -> Pipeline:
    (folder / "train.sh").write_text(script if script.startswith("#!") else f"#!/bin/sh\n{script}\n")
    (folder / "train.sh").chmod(0o755)
    (folder / "train.awk").write_text(AWK)
    text = (
        f"[pipeline]\nkind = 'command'\ncommand = {command}\nmetric = 'loss'\ndirection = 'minimize'\n{more}"
    )
    return load_pipeline(config_in(folder, text + SPACE))


def fault_of(folder: Path, script: str) -> ResultError:
    with pytest.raises(ResultError) as caught:
        evaluate(project(folder, "'./train.sh'", script))
    return caught.value


class TestShell(PipelineContract):
    @pytest.fixture
    def pipeline(self, tmp_path: Path) -> Pipeline:
        return project(tmp_path, "'./train.sh'")


class TestAwk(PipelineContract):
    @pytest.fixture
    def pipeline(self, tmp_path: Path) -> Pipeline:
        return project(tmp_path, "['awk', '-f', 'train.awk']", more="params_as = 'json'\n")


# ---- parameters in, metrics out


def test_a_shell_script_takes_flags_and_its_seed(tmp_path: Path) -> None:
    pipeline = project(tmp_path, "'./train.sh'")
    reports: list[Any] = []
    evaluation = pipeline.evaluate({"rate": 1e-5, "depth": 7}, lambda *given: reports.append(given), 42)
    assert (evaluation.value, evaluation.metrics) == (9.0, {"seed": 42.0})
    assert reports == [(0, {"loss": 10.0}), (1, {"loss": 9.0}), (2, {"loss": 8.0})]


@pytest.mark.parametrize(
    ("command", "params_as"),
    [
        ("'awk -f train.awk'", "json"),
        ("'awk -f train.awk'", "file"),
        ("'awk -f train.awk {params} /dev/null'", "file"),
        ("['sh', '-c', 'awk -f train.awk < {params}']", "file"),
    ],
)
def test_awk_takes_json_on_stdin_or_in_a_file(tmp_path: Path, command: str, params_as: str) -> None:
    pipeline = project(tmp_path, command, more=f"params_as = '{params_as}'\n")
    assert pipeline.name == "train" if "sh" not in command else pipeline.name
    evaluation, reports = evaluate(pipeline, {"rate": 0.25, "depth": 8})
    assert (evaluation.value, evaluation.metrics["depth"]) == (2.0, 8.0)
    assert reports == [(0, {"loss": 99.0})]


def test_flags_are_words_of_their_own_that_no_shell_reads(tmp_path: Path) -> None:
    script = 'for word in "$@"; do echo "<$word>" >> words; done; echo \'{"loss": 1}\''
    params: dict[str, Value] = {
        "rate": 1e-06,
        "depth": 3,
        "kind": "a b; $(touch x) *",
        "flag": True,
        "none": None,
    }
    evaluate(project(tmp_path, "'./train.sh before {params} after'", script), params)
    assert (tmp_path / "words").read_text().split("\n") == [
        "<before>", "<--rate>", "<1e-06>", "<--depth>", "<3>", "<--kind>", "<a b; $(touch x) *>",
        "<--flag>", "<true>", "<--none>", "<null>", "<after>", "",
    ]  # fmt: skip


def test_what_is_fixed_is_handed_on(tmp_path: Path) -> None:
    pipeline = project(tmp_path, "'./train.sh'", 'echo "{\\"loss\\": $4}"', "fixed = { epochs = 12 }\n")
    assert evaluate(pipeline, {"depth": 1})[0].value == 12.0


def test_the_last_object_is_the_result_and_other_lines_are_not_ours(tmp_path: Path) -> None:
    script = """
    echo 'epoch 1'; echo '[1, 2]'; echo '{"loss": 5}'; echo '{not json'
    echo '  {"loss": 2}  '; echo 3; printf done
    """
    assert evaluate(project(tmp_path, "'./train.sh'", script))[0].value == 2.0


def test_a_line_without_an_end_and_a_flood_of_output_are_read(tmp_path: Path) -> None:
    script = """
    awk 'BEGIN { for (i = 0; i < 20000; i++) { print "noise " i; print "noise " i > "/dev/stderr" } }'
    printf '{"loss": 2}'
    """
    assert evaluate(project(tmp_path, "'./train.sh'", script))[0].value == 2.0


# ---- how it may go wrong


def test_an_exit_code_is_a_failure_with_the_last_lines_of_stderr(tmp_path: Path) -> None:
    error = fault_of(tmp_path, "echo '{\"loss\": 1}'; echo first >&2; echo 'no such file' >&2; exit 3")
    assert str(error) == "./train.sh ended with exit code 3: no such file"
    assert failure_of(error).outcome is Outcome.ERROR
    assert failure_of(error).traceback == "first\nno such file"


def test_a_program_that_is_killed_names_the_signal(tmp_path: Path) -> None:
    assert str(fault_of(tmp_path, "kill -SEGV $$")) == "./train.sh was killed by SIGSEGV"
    assert "SIGKILL, perhaps for lack of memory" in str(fault_of(tmp_path, "kill -KILL $$"))


@pytest.mark.parametrize(
    ("printed", "outcome", "part"),
    [
        ("", Outcome.BAD_RESULT, 'such as {"loss": 0.93}, but printed none'),
        ("loss: 0.5", Outcome.BAD_RESULT, "but printed none"),
        ('{"step": 0, "loss": 0.5}', Outcome.BAD_RESULT, "without `step`, but printed none"),
        ('{"los": 0.5}', Outcome.BAD_RESULT, "Did you mean 'los'?"),
        ('{"loss": "0.5"}', Outcome.BAD_RESULT, "must be a number, but got str '0.5'"),
        ('{"loss": true}', Outcome.BAD_RESULT, "must be a number, but got bool True"),
        ('{"loss": 1, "loss": 2}', Outcome.BAD_RESULT, "is not JSON"),
        ('{"loss": 1', Outcome.BAD_RESULT, "is not JSON"),
        ("{'loss': 1}", Outcome.BAD_RESULT, "is not JSON"),
        ('{"loss": NaN}', Outcome.NON_FINITE, "NaN"),
        ('{"loss": -Infinity}', Outcome.NON_FINITE, "Infinity"),
        ('{"loss": 1e999}', Outcome.NON_FINITE, "1e999"),
        ('{"loss": nan}\n{"loss": 1}', Outcome.NON_FINITE, "nan"),
    ],
)
def test_what_is_no_result_is_a_failure_of_its_class(
    tmp_path: Path, printed: str, outcome: Outcome, part: str
) -> None:
    error = fault_of(tmp_path, f"cat <<'END'\n{printed}\nEND")
    assert error.outcome is outcome
    assert part in str(error)


def test_what_was_printed_instead_of_a_result_is_kept(tmp_path: Path) -> None:
    error = fault_of(tmp_path, "echo oh >&2; echo 'loss: 0.5'; echo")
    assert error.details.splitlines() == ["oh", "The last line that it printed: loss: 0.5"]
    assert "loss: 0.5" not in str(error), "two failures are the same by what is said of them"


def test_a_line_of_two_megabytes_is_refused_and_not_swallowed(tmp_path: Path) -> None:
    script = "printf '{\"loss\": 1, \"x\": \"'; head -c 2000000 /dev/zero | tr '\\0' a; echo '\"}'"
    assert "is not JSON" in str(fault_of(tmp_path, script))


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("'./nowhere.sh'", "There is no program './nowhere.sh'"),
        ("'no-such-program-anywhere'", "There is no program 'no-such-program-anywhere'"),
        ("'./train.awk'", "may not be executed"),
        ("'train.sh'", "There is no program 'train.sh'"),
    ],
)
def test_a_program_that_is_not_there_is_refused_before_anything_runs(
    tmp_path: Path, command: str, part: str
) -> None:
    pipeline = project(tmp_path, command)
    with pytest.raises(ConfigError) as caught:
        pipeline.load()
    assert part in str(caught.value)
    if command == "'train.sh'":
        assert "Write ./train.sh" in caught.value.remedy
    with pytest.raises(ResultError, match="cannot be started"):
        evaluate(pipeline)


def test_the_code_is_what_the_files_hold(tmp_path: Path) -> None:
    first = project(tmp_path, "'./train.sh'").provenance()
    assert project(tmp_path, "'./train.sh'").provenance() == first
    assert project(tmp_path, "'./train.sh'", "echo").provenance() != first


def test_what_a_named_script_imports_and_scripts_in_bin_count_as_code(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("train.py", "bin/clean.sh", "helper.py"):
        (tmp_path / name).write_text("import helper\n")

    def code() -> str:
        return project(tmp_path, "'python3 train.py bin/clean.sh'").provenance().code

    versions = [code()]
    for name in ("helper.py", "bin/clean.sh"):
        (tmp_path / name).write_text("# edited\n")
        versions.append(code())
    assert len(set(versions)) == 3


# ---- nothing outlives the experiment


def wait_until_gone(pid: int) -> None:
    """Wait for what the kernel is doing anyway; a survivor fails the test after a minute."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(process, select.POLLIN)
    ended = poll.poll(60_000)
    os.close(process)
    assert ended, f"{pid} is still there"


def test_what_a_program_leaves_running_goes_with_it(tmp_path: Path) -> None:
    """It holds stdout open, too, which must not keep us waiting."""
    evaluation = evaluate(
        project(tmp_path, "'./train.sh'", "sleep 1000 & echo $! > pid; echo '{\"loss\": 1}'")
    )[0]
    assert evaluation.value == 1.0
    wait_until_gone(int((tmp_path / "pid").read_text()))


def test_a_program_that_closes_its_stdout_may_still_end_in_peace(tmp_path: Path) -> None:
    script = "echo '{\"loss\": 1}'; exec >&-; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 0"
    assert evaluate(project(tmp_path, "'./train.sh'", script))[0].value == 1.0


def test_a_report_that_stops_it_stops_the_program(tmp_path: Path) -> None:
    def stop(step: int, metrics: Any) -> None:
        raise KeyboardInterrupt

    pipeline = project(tmp_path, "'./train.sh'", "echo $$ > pid; echo '{\"step\": 0}'; sleep 1000")
    with pytest.raises(KeyboardInterrupt):
        pipeline.evaluate({}, stop, 0)
    wait_until_gone(int((tmp_path / "pid").read_text()))


def test_nothing_is_left_when_the_worker_is_killed(tmp_path: Path) -> None:
    script = "sleep 1000 & echo $! > child; echo $$ > pid; echo '{\"step\": 0}'; sleep 1000"
    project(tmp_path, "'./train.sh --config {params}'", script, "params_as = 'file'\n")
    code = (
        "from pathlib import Path; from retrain.config import load_config\n"
        "from retrain.pipelines import load_pipeline\n"
        "pipeline = load_pipeline(load_config(Path('.'), environ={}))\n"
        "pipeline.evaluate({}, lambda *given: print('running', flush=True), 0)"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"running\n"
        assert list(tmp_path.glob("retrain-*"))
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
    for name in ("pid", "child"):
        wait_until_gone(int((tmp_path / name).read_text()))
    assert not list(tmp_path.glob("retrain-*")), "the scratch folder went first"


def pruned_after_its_report(folder: Path, script: str) -> None:
    def stop(step: int, metrics: Any) -> None:
        raise Pruned

    with pytest.raises(Pruned):
        project(folder, "'./train.sh'", script).evaluate({}, stop, 0)
    wait_until_gone(int((folder / "pid").read_text()))


def test_a_program_that_is_pruned_may_put_its_things_away(tmp_path: Path) -> None:
    pruned_after_its_report(
        tmp_path,
        "trap 'kill $!; seq 1 20000; echo away > away; exit 0' TERM; echo $$ > pid\n"
        "sleep 1000 & echo '{\"step\": 0}'; wait",
    )
    assert (tmp_path / "away").read_text() == "away\n"


def test_a_program_that_does_not_end_when_it_is_pruned_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "ENDS_WITHIN_S", 0.05)
    pruned_after_its_report(
        tmp_path, "trap '' TERM; echo $$ > pid; echo '{\"step\": 0}'; while :; do sleep 1; done"
    )
