"""The whole loop from the outside: both commands, real workers and data, a program in another language."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.postgres_server import PostgresServer

ROOT = Path(__file__).resolve().parent.parent

AWK = """
BEGIN {
  for (i = 1; i < ARGC; i += 2) p[substr(ARGV[i], 3)] = ARGV[i + 1]
  for (fold = 0; fold < 5; fold++) {
    loss = (p["x"] - 0.3) ^ 2 + (p["k"] - 4) ^ 2 / 100 + fold / 1000
    total += loss
    printf "{\\"step\\": %d, \\"loss\\": %.6f}\\n", fold, loss
  }
  printf "{\\"loss\\": %.6f}\\n", total / 5
}
"""

IN_AWK = """
name = "awk"
[pipeline]
kind = "command"
command = ["awk", "-f", "train.awk", "--"]
metric = "loss"
direction = "minimize"
[space.params]
x = { type = "float", low = 0.0, high = 1.0 }
k = { type = "int", low = 1, high = 9 }
[deploy]
target = "hp.toml"
"""

QUICK = """
[pipeline]
model = "logistic_regression"
data = "breast_cancer"
metric = "roc_auc"
[splits]
folds = 3
[space]
preset = "logistic_regression/conservative"
[deploy]
target = "model.py"
"""


def call(folder: Path, line: str, exit_code: int = 0) -> str:
    """Standard output of a command line that must end with this exit code."""
    name, *arguments = line.split()
    code = f"import sys; from {name}.cli import main; sys.argv[0] = {name!r}; main()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); {code}", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == exit_code, f"{line}: {done.stderr}"
    return done.stdout


def go_round(folder: Path, *runs: str) -> None:
    """Propose, run, report, apply, and back; the target file ends as it began."""
    target = next(iter(folder.glob("hp.*")), None) or folder / "model.py"
    before = target.read_bytes() if target.exists() else None
    for line in runs:
        call(folder, line)
    summary = json.loads(call(folder, "orchestrator --summary --format json"))
    best = summary["best"][0]
    assert summary["counts"]["complete"] > 0
    assert summary["counts"]["running"] == 0
    dry = json.loads(call(folder, "retrain --apply-hp best --dry-run --format json"))
    assert dry["params"] == best["params"]
    assert (target.read_bytes() if target.exists() else None) == before

    call(folder, "retrain --apply-hp best")
    assert target.exists()
    assert target.read_bytes() != before
    actions = [row["action"] for row in json.loads(call(folder, "retrain --history --format json"))]
    assert actions == ["found", "apply"]
    call(folder, "retrain --rollback")
    assert (target.read_bytes() if target.exists() else None) == before


def test_a_program_in_another_language(tmp_path: Path) -> None:
    (tmp_path / "retrain.toml").write_text(IN_AWK)
    (tmp_path / "train.awk").write_text(AWK)
    (tmp_path / "hp.toml").write_text("# tuned by hand in 2019\nx = 0.50\nk = 5  # neighbours\n")
    go_round(
        tmp_path,
        "orchestrator --pool local --method random --configs 6",
        "orchestrator --pool local --method bayesian --configs 8",
        "retrain --tune --tune-method grid --tune-configs 5",
        "orchestrator --pool local",
    )
    summary = json.loads(call(tmp_path, "orchestrator --summary --format json"))
    assert summary["counts"]["complete"] == 1 + 6 + 8 + 5
    assert summary["best"][0]["value"] < summary["baseline"]["value"] == pytest.approx(0.052)
    assert summary["improvements"][0]["interval"] is not None


ON_SERVER = """
name = "squares"
db = "{url}"
[pipeline]
kind = "squares.py:objective"
metric = "loss"
direction = "minimize"
[space.params]
x = {{ type = "float", low = 0.0, high = 1.0, default = 0.9 }}
[deploy]
target = "hp.toml"
"""


def test_two_hosts_share_a_study_on_a_server(tmp_path: Path, postgres_server: PostgresServer) -> None:
    url = postgres_server.make_database("loop").replace("postgresql:", "postgresql+psycopg:")
    hosts = [tmp_path / name for name in ("one", "two")]
    for host in hosts:
        host.mkdir()
        (host / "retrain.toml").write_text(ON_SERVER.format(url=url))
        (host / "squares.py").write_text("def objective(params):\n    return (params['x'] - 0.3) ** 2\n")
        (host / "hp.toml").write_text("x = 0.9\n")
    with ThreadPoolExecutor(2) as pool:
        lines = [f"orchestrator --pool local --method random --configs {n}" for n in (6, 7)]
        list(pool.map(call, hosts, lines))
    go_round(
        hosts[0],
        "retrain --tune --tune-method grid --tune-configs 3",
        "orchestrator --pool local --workers 2",
    )
    summary = json.loads(call(hosts[1], "orchestrator --summary --format json"))
    assert summary["counts"]["complete"] == 1 + 6 + 7 + 3
    attempts = postgres_server.execute("SELECT count(*), count(DISTINCT owner_id) FROM attempts", "loop")
    assert attempts == [(17, 3)], "each ran once, by one of three orchestrators"
    said = json.loads(call(hosts[0], "retrain doctor --deep --format json", 1))
    checks = {row["check"]: row for row in said["findings"]}
    assert checks["registry"]["detail"].startswith("postgresql://tester@/loop?host=")
    assert {name for name, row in checks.items() if row["verdict"] == "problem"} == {"durability"}


@pytest.mark.ray
def test_real_data_on_ray(tmp_path: Path, ray_address: str) -> None:
    (tmp_path / "retrain.toml").write_text(QUICK)
    go_round(
        tmp_path,
        f"orchestrator --address {ray_address} --method random --configs 4",
        f"orchestrator --address {ray_address} --method bayesian --configs 4 --workers 2",
    )
