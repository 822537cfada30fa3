"""What every worker is given: the pipeline and its data, written once to a file that all workers map.

Large arrays stay outside the pickle (protocol 5), so that workers of one machine share their pages. The file
has no name and is gone with the last process that holds it.

    8 bytes: length of the index | index: pickled [(offset, size), ...] | blocks, each aligned to 64 bytes
    blocks: the pipeline, the data, then the buffers of the data
"""

import mmap
import os
import pickle
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self

from retrain.pipeline import Pipeline
from tuner.errors import PoolError, UsageError

__all__ = ["Surroundings", "build_pipeline", "read_payload", "write_payload"]

_ALIGNMENT = 64  # what numpy and Arrow ask of a buffer at most


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where imports and relative paths of user code are looked up: the same in a worker as in its starter."""

    sys_path: tuple[str, ...]
    cwd: str | None

    @classmethod
    def here(cls) -> Self:
        """Those of this process. `cwd` is None where the folder is gone."""
        try:
            cwd = os.getcwd()  # noqa: PTH109 - Path.cwd() of a deleted folder raises no differently
        except OSError:
            cwd = None
        return cls(tuple(path or cwd or "" for path in sys.path), cwd)

    def enter(self) -> None:
        """Make this process's the same. Folders that are missing here (another machine) are left out."""
        own = [path for path in sys.path if path not in self.sys_path]
        sys.path[:] = [path for path in self.sys_path if Path(path).exists()] + own
        if self.cwd is not None and Path(self.cwd).is_dir():
            os.chdir(self.cwd)


def write_payload(pipeline: Pipeline, data: object) -> IO[bytes]:
    """Write both to an unnamed temporary file, by value where they come from a script or notebook.

    Raises:
        UsageError: one of them cannot be pickled.
        PoolError: the temporary folder has no room.
    """
    import cloudpickle

    buffers: list[pickle.PickleBuffer] = []
    blocks: list[Any] = [
        _pickled("pipeline", lambda: cloudpickle.dumps(pipeline, protocol=5)),
        _pickled("data", lambda: cloudpickle.dumps(data, protocol=5, buffer_callback=buffers.append)),
    ]
    file = None
    try:
        file = tempfile.TemporaryFile(prefix="retrain-")  # noqa: SIM115 - the pool keeps it open
        _write_blocks(file, blocks + [buffer.raw() for buffer in buffers])
    except OSError as error:
        if file is not None:
            file.close()
        raise PoolError(
            f"The data for the workers cannot be written to {tempfile.gettempdir()}: {error.strerror}.",
            "Free some space there, or set TMPDIR to a folder with more.",
        ) from error
    return file


def _pickled(what: str, dumps: Any) -> bytes:
    try:
        return bytes(dumps())
    except Exception as error:  # user objects may raise anything here
        raise UsageError(
            f"The {what} must be picklable to travel to a worker, but: {type(error).__name__}: {error}",
            "Make locks, files, connections and the like inside the function that needs them.",
        ) from error


def _write_blocks(file: IO[bytes], blocks: Sequence[Any]) -> None:
    sizes = [memoryview(block).nbytes for block in blocks]
    # Offsets count from the end of the index, so that its own length does not matter.
    offsets, end = [], 0
    for size in sizes:
        offsets.append(end)
        end += -(-size // _ALIGNMENT) * _ALIGNMENT
    index = pickle.dumps(list(zip(offsets, sizes, strict=True)))
    index += b" " * (-(8 + len(index)) % _ALIGNMENT)  # pickle stops reading at its own end
    start = 8 + len(index)
    file.write(len(index).to_bytes(8, "little") + index)
    for offset, block in zip(offsets, blocks, strict=True):
        file.seek(start + offset)
        file.write(block)
    file.truncate(start + end)
    file.flush()


def read_payload(fd: int) -> list[memoryview]:
    """Map the file: the pickled pipeline, the pickled data, and its buffers.

    The mapping is private: a worker that writes into an array changes its own copy of the page only.
    """
    mapped = memoryview(mmap.mmap(fd, 0, access=mmap.ACCESS_COPY))
    length = int.from_bytes(mapped[:8], "little")
    index: list[tuple[int, int]] = pickle.loads(mapped[8 : 8 + length])  # noqa: S301 - our own file
    start = 8 + length
    return [mapped[start + offset : start + offset + size] for offset, size in index]


def build_pipeline(blocks: Sequence[Any]) -> Pipeline:
    """Build the pipeline from the blocks of a payload, with its data. Raises whatever user code raises."""
    code, data, *buffers = blocks
    pipeline: Pipeline = pickle.loads(code)  # noqa: S301 - pickled by whoever started this process
    pipeline.use(pickle.loads(data, buffers=buffers))  # noqa: S301 - likewise
    return pipeline
