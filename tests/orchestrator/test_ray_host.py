"""What the process behind a RayPool asks its actors for, on a Ray that only writes down what it is asked."""

import pickle
import queue
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.payload import Surroundings
from orchestrator.pool import Progress
from orchestrator.ray_cluster import Cluster
from orchestrator.ray_host import _Host
from orchestrator.ray_pool import Ended, HostOrder, Work


class Call:
    """A call of an actor's method, which ends when the test says so."""

    def __init__(self, method: str, given: tuple[Any, ...]) -> None:
        self.method, self.given = method, given
        self.ended: Future[Any] = Future()

    def future(self) -> "Future[Any]":
        return self.ended


class Actor:
    """Every method can be called, as on an actor of Ray, and no call ends by itself."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __getattr__(self, method: str) -> Any:
        def remote(*given: Any) -> Call:
            self.calls.append(Call(method, given))
            return self.calls[-1]

        handle = SimpleNamespace(remote=remote)
        handle.options = lambda **_: handle
        return handle


class Bench:
    """A host with one worker that is ready."""

    def __init__(self) -> None:
        self.actor = Actor()
        ray = SimpleNamespace(remote=lambda **_: lambda _: SimpleNamespace(remote=lambda: self.actor))
        order = HostOrder(1, "auto", None, Surroundings.here(), 10.0, False)
        self.events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        cluster = Cluster(ray, None, "here", Path(), ("", 0))
        self.host = _Host(cluster, order, cast("Any", None), self.events)
        self.host._hire()
        self.end("setup", (b"", 1, "there"))
        self.actor.calls.clear()

    def end(self, method: str, result: Any) -> None:
        """The last call of this method ends, and the host takes that in."""
        [*_, call] = [each for each in self.actor.calls if each.method == method]
        call.ended.set_result(result)
        self.host._take(self.events.get_nowait())

    def run(self, key: str, judged: bool) -> list[str]:
        """What the actor is asked for when it is given a task, in order."""
        self.actor.calls.clear()
        self.host._take(Work(key, b"", judged))
        return [call.method for call in self.actor.calls]


def news(*reports: Progress) -> tuple[list[Progress], tuple[str, ...]]:
    return list(reports), ()


def test_a_judged_task_is_asked_for_news_from_its_beginning() -> None:
    """Else its first reports wait in the actor until the next round of questions, and a short one is over."""
    bench = Bench()
    assert bench.run("one", judged=True) == ["run", "news"]
    key, wait_s = bench.actor.calls[-1].given
    assert key == "one"
    assert wait_s > 0, "the question waits there for the first report"


def test_it_is_asked_again_after_each_answer_until_it_ends_and_so_is_the_next() -> None:
    bench = Bench()
    bench.run("one", judged=True)
    report = Progress("one", 1, {"loss": 0.5}, waits=True)
    bench.end("news", news(report))
    assert bench.host._out[-1] == report
    assert [call.method for call in bench.actor.calls] == ["run", "news", "news"]
    bench.end("run", answer := pickle.dumps((None, news())))
    assert Ended("one", answer) not in bench.host._out, "the news that is on its way comes first"
    bench.end("news", news())
    assert Ended("one", answer) in bench.host._out
    assert [call.method for call in bench.actor.calls] == ["run", "news", "news"], "nobody asks after its end"
    assert bench.run("two", judged=True) == ["run", "news"]


@pytest.mark.parametrize("round_", [1, 2])
def test_a_task_that_waits_for_no_word_is_not_asked_at_once(round_: int) -> None:
    """Each question costs the host as much as a task; thousands of short ones are asked for nothing."""
    bench = Bench()
    for key in map(str, range(round_)):
        assert bench.run(key, judged=False) == ["run"]
        bench.end("run", b"")
