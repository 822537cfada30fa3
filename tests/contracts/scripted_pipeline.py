"""A pipeline that does what a parameter says: every way in which user code may end."""

import ctypes
import itertools
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from retrain.pipeline import Pipeline, Report
from tuner.errors import DataError
from tuner.experiment import Direction, Params, Provenance
from tuner.space import FloatParam, SearchSpace

PATIENCE_S = 60.0


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.005)


class HostileError(Exception):
    """Cannot be unpickled: its arguments are not those of its constructor."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def reported(go: Path) -> Path:
    """The file that says that a report is over, and not only told: until then it may still be the last."""
    return go.with_suffix(".reported")


class Scripted(Pipeline):
    """Does what the parameter `do` names."""

    name = "scripted"
    metric = "value"
    direction = Direction.MINIMIZE
    space = SearchSpace([FloatParam("x", 0.0, 1.0)])

    def __init__(self) -> None:
        self.n_uses = self.n_calls = 0

    def use(self, data: Any) -> None:
        self.n_uses += 1
        self.data = data

    def provenance(self) -> Provenance:
        return Provenance()

    def evaluate(self, params: Params, report: Report, seed: int) -> Any:
        self.n_calls += 1
        return getattr(self, "do_" + str(params["do"]))(params, report, seed)

    # ---- results

    def do_echo(self, params: Params, report: Report, seed: int) -> Any:
        assert type(params) is dict
        return {"value": np.float64(params["x"]), "seed": seed, "third": Decimal("0.5"), "count": np.int64(3)}

    def do_count(self, params: Params, report: Report, seed: int) -> Any:
        return {"value": 0.0, "pid": os.getpid(), "n_uses": self.n_uses, "n_calls": self.n_calls}

    def do_data(self, params: Params, report: Report, seed: int) -> Any:
        return {"value": float(self.data["X"].sum()), "rows": len(self.data["names"])}

    def do_cwd(self, params: Params, report: Report, seed: int) -> Any:
        assert str(Path.cwd()) == params["cwd"]
        assert os.environ["OMP_NUM_THREADS"] == "1"
        return 0.0

    def do_chatter(self, params: Params, report: Report, seed: int) -> Any:
        print("x" * 1_000_000)
        print("y" * 1_000_000, file=sys.stderr)
        os.write(1, b"\x80\x05garbage" * 10_000)
        return 0.0

    def do_say(self, params: Params, report: Report, seed: int) -> Any:
        """Wait half-way until the test has seen the first line."""
        print("one\ttab", flush=True)
        print("half a li", end="", flush=True)
        until(Path(str(params["go"])).exists, "the test has seen the first line")
        print("ne")
        print("\r 10 %\r100 %", file=sys.stderr)
        os.write(2, b"no \xffend")
        return 0.0

    # ---- ends that are no result

    def do_raise(self, params: Params, report: Report, seed: int) -> Any:
        raise ValueError("max_depth must be positive,\n\tnot -1")

    def do_hostile(self, params: Params, report: Report, seed: int) -> Any:
        raise HostileError(1, 2)

    def do_exit(self, params: Params, report: Report, seed: int) -> Any:
        sys.exit(params["code"])  # type: ignore[arg-type]

    def do_interrupt(self, params: Params, report: Report, seed: int) -> Any:
        raise KeyboardInterrupt

    def do_memory(self, params: Params, report: Report, seed: int) -> Any:
        """Ask for more than the system gives."""
        before = resource.getrlimit(resource.RLIMIT_AS)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + 2**28, before[1]))
        try:
            return {"value": float(len(bytearray(2**30)))}
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)

    def do_recursion(self, params: Params, report: Report, seed: int) -> Any:
        return self.do_recursion(params, report, seed)

    def do_lambda(self, params: Params, report: Report, seed: int) -> Any:
        return lambda: 1.0

    def do_heavy(self, params: Params, report: Report, seed: int) -> Any:
        return {"value": 0.5, "model": b"x" * 20_000_000}

    def do_nan(self, params: Params, report: Report, seed: int) -> Any:
        return float("nan")

    def do_text(self, params: Params, report: Report, seed: int) -> Any:
        return "0.93"

    def do_misspelt(self, params: Params, report: Report, seed: int) -> Any:
        return {"valeu": 0.5}

    def do_flood(self, params: Params, report: Report, seed: int) -> Any:
        return {"value": 0.0} | {f"m{i}": 0.0 for i in range(200_000)}

    # ---- deaths

    def do_end_process(self, params: Params, report: Report, seed: int) -> Any:
        os._exit(int(params["code"]))  # type: ignore[arg-type]

    def do_signal(self, params: Params, report: Report, seed: int) -> Any:
        # To this very thread, as a real crash is.
        signal.pthread_kill(threading.get_ident(), signal.Signals[str(params["signal"])])
        time.sleep(PATIENCE_S)

    def do_hold(self, params: Params, report: Report, seed: int) -> Any:
        """Hold real memory: here, or in two children that hold half of it each, and wait for the end."""
        n = int(str(params["mb"])) * 10**6
        if params["where"] == "here":
            held = b"x" * n  # the interpreter is locked while it is written
            until(lambda: not held, "somebody ends it")
        code = f"held = b'x' * {n // 2}; import time; time.sleep({PATIENCE_S})"
        children = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
        return float(sum(child.wait() for child in children))

    def do_last_words(self, params: Params, report: Report, seed: int) -> Any:
        print("for example: CUDA error")
        print("out of cheese", file=sys.stderr)
        os._exit(1)

    def do_close_files(self, params: Params, report: Report, seed: int) -> Any:
        """As careless programs do before they start another one: the pool's connection is among them."""
        os.closerange(3, 1000)
        return 0.0

    def do_fork(self, params: Params, report: Report, seed: int) -> Any:
        """Both come back from here, and both report."""
        os.fork()
        report(0, {"loss": 1.0})
        return 0.0

    def do_spin(self, params: Params, report: Report, seed: int) -> Any:
        Path(str(params["mark"])).touch()
        while True:
            pass

    def do_block(self, params: Params, report: Report, seed: int) -> Any:
        Path(str(params["mark"])).touch()
        time.sleep(1e6)

    def do_seize(self, params: Params, report: Report, seed: int) -> Any:
        """In C, deaf to signals, and without letting any other thread of Python run."""
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        Path(str(params["mark"])).touch()
        ctypes.PyDLL(None).sleep(1_000_000)

    # ---- several at once

    def do_meet(self, params: Params, report: Report, seed: int) -> Any:
        Path(str(params["mine"])).touch()
        until(Path(str(params["theirs"])).exists, "the other task starts")
        return 0.0

    def do_report(self, params: Params, report: Report, seed: int) -> Any:
        report(0, {"loss": 3.0})
        until(Path(str(params["go"])).exists, "the test has seen the first report")
        report(1, {"loss": np.float32(2.0), "auc": 0.5})  # type: ignore[dict-item]
        report(2, {"loss": 1})
        return 1.0

    # ---- pruning

    def do_count_up(self, params: Params, report: Report, seed: int) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        for step in itertools.count():
            report(step, {"value": 10.0 + step, "auc": 0.5})
            time.sleep(0.005)
            assert time.monotonic() < deadline, "it was never pruned"

    def do_count_up_carelessly(self, params: Params, report: Report, seed: int) -> Any:
        """As user code does that must not fail."""
        try:
            return self.do_count_up(params, report, seed)
        except Exception:  # noqa: BLE001
            return 1.0

    def do_count_up_for_ever(self, params: Params, report: Report, seed: int) -> Any:
        """Catches what it should let pass, and calls it a result."""
        try:
            self.do_count_up(params, report, seed)
        except BaseException:  # noqa: BLE001
            return 1.0

    def do_count_up_and_fail(self, params: Params, report: Report, seed: int) -> Any:
        """Its own clean-up fails."""
        try:
            self.do_count_up(params, report, seed)
        finally:
            raise ValueError("the file is closed already")

    def do_count_to_three(self, params: Params, report: Report, seed: int) -> Any:
        for step in range(3):
            report(step, {"value": float(step)})
        return 1.0

    def do_report_once(self, params: Params, report: Report, seed: int) -> Any:
        report(0, {"value": 0.5})
        reported(Path(str(params["go"]))).touch()
        until(Path(str(params["go"])).exists, "the test has asked for the end")
        return 1.0

    def do_report_something_else(self, params: Params, report: Report, seed: int) -> Any:
        report(0, {"loss": 0.5})
        reported(Path(str(params["go"]))).touch()
        until(Path(str(params["go"])).exists, "the test has asked for the end")
        report(1, {"loss": 0.5})
        return 1.0

    def do_report_and_wait(self, params: Params, report: Report, seed: int) -> Any:
        report(0, {"value": 0.5})
        until(Path(str(params["go"])).exists, "the other one has ended")
        report(1, {"value": 0.5})
        return 1.0

    # ---- children

    def do_children(self, params: Params, report: Report, seed: int) -> Any:
        """Leave a child, one in a session of its own, and an orphan; note their pids; then end as told."""
        plain = subprocess.Popen(["sleep", "1000"])
        away = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        orphan = subprocess.run(
            ["sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"], capture_output=True, text=True, check=True
        ).stdout
        pids = Path(str(params["pids"]))
        pids.with_suffix(".tmp").write_text(f"{plain.pid} {away.pid} {orphan}")
        pids.with_suffix(".tmp").rename(pids)
        if params["then"] == "hang":
            time.sleep(1e6)
        if params["then"] == "raise":
            raise ValueError("after leaving children")
        return 0.0

    def do_child_and_die(self, params: Params, report: Report, seed: int) -> Any:
        Path(str(params["pids"])).write_text(str(subprocess.Popen(["sleep", "1000"]).pid))
        os.kill(os.getpid(), signal.SIGKILL)


class Picky(Scripted):
    """Does not like its data."""

    def use(self, data: Any) -> None:
        raise DataError("The target 'default' has one class only.", "Choose another target.")


class Fatal(Scripted):
    """Takes its worker along while it is built."""

    def use(self, data: Any) -> None:
        os._exit(7)


class Lost(Scripted):
    """Cannot be unpickled, as where a module is missing."""

    def __reduce__(self) -> Any:
        return (__import__, ("a_module_that_is_nowhere",))
