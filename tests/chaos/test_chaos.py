"""The chaos run in its small form, and whether it would notice a broken protocol."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.chaos.mutants import MUTANTS
from tests.chaos.nemesis import plan_strikes

ROOT = Path(__file__).resolve().parent.parent.parent


def chaos(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the command, which forks, in a process of its own. Returns its exit code and what it printed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.chaos", "--format", "json", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    assert out, err
    return process.returncode, json.loads(out)


def test_nothing_is_lost_and_nothing_happens_twice() -> None:
    code, said = chaos("--experiments", "300", "--kills", "50", "--patience", "240")
    assert said["violations"] == []
    assert code == 0
    assert said["kills"] >= 50
    assert said["pauses"] >= 17
    assert said["results"] == said["experiments"] == 300
    assert (said["lost"], said["duplicated"], said["unexpected"]) == (0, 0, 0)
    assert said["extra_executions"] > 0, "no kill hit an execution"


def test_every_mutant_is_caught_and_the_same_strikes_without_one_are_survived() -> None:
    code, said = chaos("--mutants")
    by_name = {row["mutant"]: row for row in said["mutants"]}
    assert {name: row["caught by"] for name, row in by_name.items() if row["caught by"] == "NOT CAUGHT"} == {}
    assert by_name.keys() == {"none", *MUTANTS}
    control = by_name["none"]
    assert (control["caught by"], control["violations"]) == ("clean", 0)
    assert control["recovered"] > 0, "no kill fell between a commit and its acknowledgement"
    assert control["fenced"] > 0, "no stale result was offered"
    assert (said["caught"], code) == (len(MUTANTS), 0)


def test_the_same_seed_strikes_in_the_same_places() -> None:
    first, again, other = (
        plan_strikes(random.Random(seed), kills=50, pauses=17, last_position=285.0, hold_s=(1.0, 2.0))
        for seed in (0, 0, 1)
    )
    assert first == again != other
    assert sum(strike.hold_s == 0 for strike in first) == 50
    assert all(1 <= strike.hold_s <= 2 for strike in first if strike.hold_s)
    assert [strike.position for strike in first] == sorted(strike.position for strike in first)
    assert first[-1].position <= 285
