"""Who proposes while somebody else does: threads, and children that were forked meanwhile."""

import os
from threading import RLock, Thread

import pytest

from tests.contracts.generator_contract import SMALL
from tuner.generators import alone, make_generator


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_child_that_was_forked_during_a_proposal_proposes(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = make_generator("random", SMALL)
    monkeypatch.setattr(alone, "_lock", held := RLock())
    thread = Thread(target=held.acquire)  # as by a thread that proposes, of which the child has nothing
    thread.start()
    thread.join()
    child = os.fork()
    if child == 0:
        os._exit(17 if alone._lock.acquire(blocking=False) and len(generator.ask(3)) == 3 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 17
