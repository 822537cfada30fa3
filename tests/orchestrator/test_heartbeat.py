"""The heartbeat's thread."""

import threading

from orchestrator.heartbeat import Heartbeat
from tuner.errors import BusyError


def test_it_beats_from_its_own_thread_and_outlives_a_busy_registry() -> None:
    beats: list[str] = []
    enough = threading.Event()

    def beat() -> None:
        beats.append(threading.current_thread().name)
        if len(beats) == 1:
            raise BusyError("The database is locked.")
        enough.set()

    with Heartbeat(beat, every_s=0.001):
        assert enough.wait(timeout=30)
    n_beats = len(beats)
    assert set(beats) == {"heartbeat"}
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]
    assert len(beats) == n_beats
