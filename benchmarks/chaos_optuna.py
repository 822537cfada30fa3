"""The chaos run's nemesis on Optuna's SQLite storage; started by `chaos.py`, in a Python that has Optuna.

Configurations are enqueued once. Workers run `study.optimize`, one trial at a time, until nothing waits, nor
has run for a while: as long as the grace period, where trials have a heartbeat. Prints one line of JSON.
"""

import argparse
import json
import os
import random
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import optuna

from tests.chaos.history import History, Tail, read_lines
from tests.chaos.nemesis import Nemesis, plan_strikes
from tests.chaos.processes import fork

N_WORKERS = 3
HEARTBEAT_S, GRACE_S = 1, 2
QUIET_S = 3 * GRACE_S
UNDER_FIRE = 0.95
WAITING, RUNNING, COMPLETE = (
    optuna.trial.TrialState.WAITING,
    optuna.trial.TrialState.RUNNING,
    optuna.trial.TrialState.COMPLETE,
)


def storage_of(folder: Path, heartbeat: bool) -> optuna.storages.RDBStorage:
    """Optuna's own defaults, but for a busy timeout as long as ours."""
    beating: dict[str, Any] = {
        "heartbeat_interval": HEARTBEAT_S,
        "grace_period": GRACE_S,
        "heartbeat_stale_trial_callback": optuna.storages.RetryFailedTrialCallback(),
    }
    return optuna.storages.RDBStorage(
        f"sqlite:///{folder / 'optuna.db'}",
        engine_kwargs={"connect_args": {"timeout": 30}},
        **(beating if heartbeat else {}),
    )


def load(folder: Path, heartbeat: bool) -> optuna.Study:
    storage = storage_of(folder, heartbeat)
    return optuna.load_study(study_name="chaos", storage=storage, sampler=optuna.samplers.RandomSampler())


def enqueue(folder: Path, n: int, heartbeat: bool) -> None:
    study = optuna.create_study(study_name="chaos", storage=storage_of(folder, heartbeat))
    for number in range(n):
        study.enqueue_trial({"number": number}, user_attrs={"number": number})


def work(folder: Path, seed: str, heartbeat: bool) -> None:
    """Until nothing waits, and nothing that runs has changed for a while."""
    rng = random.Random(seed)
    history = History(folder)
    study = load(folder, heartbeat)

    def objective(trial: optuna.Trial) -> float:
        number = trial.suggest_int("number", 0, 10**6)
        if "number" not in trial.user_attrs:
            raise optuna.TrialPruned  # another worker took the last one that waited
        history.write("began", number=number, pid=os.getpid())
        time.sleep(rng.uniform(0.005, 0.05))
        history.write("ended", number=number)
        return rng.random()

    def acknowledge(_: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if trial.state == COMPLETE:
            history.write("acked", number=trial.params["number"])

    seen: Any = None
    since = time.monotonic()
    while True:
        try:
            if heartbeat:
                optuna.storages.fail_stale_trials(study)
            states = Counter(trial.state for trial in study.get_trials(deepcopy=False))
            if states[WAITING]:
                study.optimize(objective, n_trials=1, callbacks=[acknowledge])
            elif not states[RUNNING]:
                return
            else:
                time.sleep(0.05)
        except Exception as error:  # noqa: BLE001 - whatever it refuses, the next one is tried
            history.write("refused", error=f"{type(error).__name__}: {error}"[:200])
            states = Counter()
        if states != seen or states[WAITING]:
            seen, since = states, time.monotonic()
        elif time.monotonic() - since > QUIET_S:
            return  # what runs now will run for ever


def judge(folder: Path, n: int, heartbeat: bool) -> dict[str, int]:
    """What became of each configuration, by the database and by the logs."""
    trials = load(folder, heartbeat).get_trials(deepcopy=False)
    rows = [(trial.user_attrs["number"], trial.state) for trial in trials if "number" in trial.user_attrs]
    done = Counter(number for number, state in rows if state == COMPLETE)
    runs = {number for number, state in rows if state == RUNNING}
    acks = list(read_lines(folder / "acks.jsonl"))
    executions = list(read_lines(folder / "executions.jsonl"))
    acked = Counter(line["number"] for line in acks if line["kind"] == "acked")
    ended = Counter(line["number"] for line in executions if line["kind"] == "ended")
    return {
        "executions": sum(line["kind"] == "began" for line in executions),
        "results": len(done),
        "lost": sum(number not in done and number not in runs for number in range(n)),
        "stuck": len(runs - done.keys()),
        "doubled": sum(max(done[number], acked[number]) > 1 for number in range(n)),
        "run twice": sum(ended[number] > 1 for number in range(n)),
        "refused": sum(line["kind"] == "refused" for line in acks),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--experiments", type=int, default=150)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--pauses", type=int, default=13)
    parser.add_argument("--heartbeat", action="store_true")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    History(given.folder).close()
    started = time.monotonic()

    def say(error: str) -> None:
        print(error, file=sys.stderr)

    def spawn(slot: int, incarnation: int) -> int:
        seed = f"{given.seed} {slot} {incarnation}"
        return fork(lambda: work(given.folder, seed, given.heartbeat), say)

    os.waitpid(fork(lambda: enqueue(given.folder, given.experiments, given.heartbeat), say), 0)
    tail, n_begun = Tail(given.folder / "executions.jsonl"), 0

    def progress() -> int:
        nonlocal n_begun
        n_begun += len([line for line in tail.new() if line["kind"] == "began"])
        return n_begun

    rng = random.Random(given.seed)
    nemesis = Nemesis(
        spawn,
        N_WORKERS,
        plan_strikes(
            rng,
            kills=given.kills,
            pauses=given.pauses,
            last_position=UNDER_FIRE * given.experiments,
            hold_s=(1.6 * GRACE_S, 3.2 * GRACE_S),
        ),
        rng=rng,
        progress=progress,
    )
    nemesis.run(patience_s=1800)
    found = judge(given.folder, given.experiments, given.heartbeat)
    toll = {"kills": nemesis.toll.n_kills, "pauses": nemesis.toll.n_pauses}
    crashed = {"crashed": len(nemesis.toll.crashed), "seconds": round(time.monotonic() - started, 1)}
    print(json.dumps(toll | found | crashed | {"version": optuna.__version__}))


if __name__ == "__main__":
    main()
