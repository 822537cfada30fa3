import mmap
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.payload import Surroundings, build_pipeline, read_payload, write_payload
from tests.contracts.scripted_pipeline import Scripted
from tuner.errors import PoolError, UsageError

ROOT = Path(__file__).resolve().parents[2]


def arrays() -> dict[str, Any]:
    return {
        "X": np.arange(300_000.0).reshape(3, -1),
        "empty": np.empty((0, 4)),
        "odd": np.arange(7, dtype=np.int8),
        "table": pd.DataFrame({"a": [1.5, 2.5], "b": ["x", None]}),
        "text": ["a", "b"],
    }


def test_data_come_back_as_they_went() -> None:
    data = arrays()
    with write_payload(Scripted(), data) as file:
        pipeline = build_pipeline(read_payload(file.fileno()))
    assert isinstance(pipeline, Scripted)
    assert pipeline.n_uses == 1
    for name in ("X", "empty", "odd"):
        np.testing.assert_array_equal(pipeline.data[name], data[name])
    pd.testing.assert_frame_equal(pipeline.data["table"], data["table"])
    assert pipeline.data["text"] == ["a", "b"]


def test_large_arrays_are_mapped_and_not_copied() -> None:
    with write_payload(Scripted(), arrays()) as file:
        blocks = read_payload(file.fileno())
        pipeline = build_pipeline(blocks)
    assert len(blocks[1]) < 10_000, "the pickle itself must not hold the arrays"
    assert isinstance(pipeline, Scripted)
    array = pipeline.data["X"]
    base = array
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(memoryview(base).obj, mmap.mmap)
    assert array.ctypes.data % 64 == 0


def test_a_worker_that_writes_into_its_data_changes_its_own_only() -> None:
    with write_payload(Scripted(), {"X": np.zeros(1000)}) as file:
        first, second = (build_pipeline(read_payload(file.fileno())) for _ in range(2))
    assert isinstance(first, Scripted)
    assert isinstance(second, Scripted)
    first.data["X"][:] = 1.0
    assert second.data["X"].sum() == 0.0


def test_the_file_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with write_payload(Scripted(), None):
        assert list(tmp_path.iterdir()) == []


def test_what_cannot_travel_is_named() -> None:
    with pytest.raises(UsageError, match="The data must be picklable") as caught:
        write_payload(Scripted(), {"lock": threading.Lock()})
    assert caught.value.remedy


def test_no_room_for_the_data_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(PoolError, match="missing") as caught:
        write_payload(Scripted(), None)
    assert "TMPDIR" in caught.value.remedy


def test_a_full_disk_is_told() -> None:
    script = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import numpy
from orchestrator.payload import write_payload
from tests.contracts.scripted_pipeline import Scripted
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_payload(Scripted(), numpy.ones(100_000))
except Exception as error:
    print(repr(error))
"""
    command = [sys.executable, "-X", "dev", "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("PoolError('The data for the workers cannot be written"), done.stdout
    assert "File too large" in done.stdout
    assert "ResourceWarning" not in done.stderr


@pytest.fixture
def _own_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = Path.cwd()
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    os.chdir(before)


@pytest.mark.usefixtures("_own_path")
def test_imports_and_relative_paths_are_those_of_the_starter(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    os.chdir(tmp_path)
    sys.path[:] = ["", str(tmp_path / "mine")]
    there: Surroundings = pickle.loads(pickle.dumps(Surroundings.here()))
    os.chdir("/")
    sys.path[:] = ["/own", str(tmp_path / "mine")]
    there.enter()
    assert sys.path == [str(tmp_path), str(tmp_path / "mine"), "/own"]
    assert Path.cwd() == tmp_path


@pytest.mark.usefixtures("_own_path")
def test_folders_that_are_missing_on_this_machine_are_left_out(tmp_path: Path) -> None:
    before = Path.cwd()
    Surroundings((str(tmp_path), "/only/on/the/other/machine"), "/only/there").enter()
    assert sys.path[0] == str(tmp_path)
    assert "/only/on/the/other/machine" not in sys.path
    assert Path.cwd() == before


@pytest.mark.usefixtures("_own_path")
def test_a_folder_that_was_deleted_under_us(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    assert Surroundings.here().cwd is None
