"""What is read as a model, and what is refused before a library sees it: pickles, bombs, foreign zips."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import pickle
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from retrain.metrics import BINARY
from retrain.models import family_module
from retrain.models.plain_zip import MAX_ENTRIES, why_not_plain
from retrain.models.sealed import check_sealed
from retrain.models.store import dump, read
from retrain.pipelines.artifact import load_model
from tuner.errors import StorageError

FILES = {
    "xgboost": "model.ubj",
    "lightgbm": "model.txt",
    "random_forest": "model.skops",
    "logistic_regression": "model.skops",
}
ROWS = np.random.default_rng(0).normal(size=(40, 3))
CLASSES = (ROWS[:, 0] > 0).astype(int)


class Trap:
    """Whoever unpickles this makes the file that it names."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.fixture(params=FILES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def fitted(family: str) -> Any:
    params = {} if family == "logistic_regression" else {"n_estimators": 3}
    return family_module(family).build(params, BINARY, 0).fit(ROWS, CLASSES)


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("protocol", [0, 1, 2, pickle.HIGHEST_PROTOCOL])
def test_a_pickle_under_any_name_is_refused_and_not_run(
    family: str, packed: str, protocol: int, tmp_path: Path
) -> None:
    trap = PACKED[packed](pickle.dumps(Trap(tmp_path / "sprung"), protocol))
    (tmp_path / FILES[family]).write_bytes(trap)
    with pytest.raises(StorageError, match=FILES[family]):
        family_module(family).load(tmp_path, BINARY)
    assert not (tmp_path / "sprung").exists()
    if protocol >= 2:
        with pytest.raises(StorageError, match="loading a pickle runs what its writer put into it"):
            family_module(family).load(tmp_path, BINARY)


@pytest.mark.parametrize("where", ["entry", "array", "type"])
def test_a_pickle_inside_skops_is_not_run(where: str, tmp_path: Path) -> None:
    path, sprung = tmp_path / "model.skops", tmp_path / "sprung"
    trap = pickle.dumps(Trap(sprung))
    dump(fitted("logistic_regression"), path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    array = next(name for name in entries if name.endswith(".npy"))
    if where == "entry":
        entries["model.pkl"] = trap
    elif where == "array":
        objects = io.BytesIO()
        np.save(objects, np.array([Trap(sprung)], dtype=object), allow_pickle=True)
        entries[array] = objects.getvalue()
    else:
        document = entries["schema.json"]
        entries["schema.json"] = document.replace(b'"LogisticRegression"', b'"system"').replace(
            b'"sklearn.linear_model._logistic"', b'"os"'
        )
        assert entries["schema.json"] != document
    _zip(path, entries)
    if where == "entry":
        assert isinstance(read(path), LogisticRegression)  # what the document does not name is not looked at
    else:
        with pytest.raises(StorageError, match="cannot be read" if where == "array" else "not trusted"):
            read(path)
    assert not sprung.exists()


def _zip(path: Path, entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


@pytest.mark.parametrize("family", [name for name in FILES if name != "xgboost"])
def test_a_file_that_ends_too_early_is_one_sentence(family: str, tmp_path: Path) -> None:
    """XGBoost crashes on some, which is why what is deployed is loaded in a process of its own."""
    module = family_module(family)
    data = module.save(fitted(family), tmp_path).read_bytes()
    for end in np.linspace(0, len(data) - 1, 40).astype(int):
        (tmp_path / FILES[family]).write_bytes(data[:end])
        with pytest.raises(StorageError, match=FILES[family]):
            module.load(tmp_path, BINARY)


def test_what_is_written_is_plain(family: str, tmp_path: Path) -> None:
    path = family_module(family).save(fitted(family), tmp_path)
    if path.suffix == ".skops":
        assert why_not_plain(path) == ""
    assert (family_module(family).load(tmp_path, BINARY).predict(ROWS) == fitted(family).predict(ROWS)).all()


def _link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../schema.json", "lies in a folder"),
        ("/etc/schema.json", "lies in a folder"),
        ("a\\schema.json", "lies in a folder"),
        ("folder/", "lies in a folder"),
        ("..", "lies in a folder"),
        (_link(), "is a symbolic link"),
    ],
    ids=str,
)
def test_an_entry_that_would_lead_elsewhere(name: str | zipfile.ZipInfo, said: str, tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"{}")
    with pytest.raises(StorageError, match=said):
        read(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    _zip(path, {"schema.json": b" " * 50_000_000}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(StorageError, match=r"'schema\.json' is compressed"):
        read(path)


def test_entries_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """The bomb without compression: every entry of the listing points at the same bytes."""
    path = tmp_path / "model.skops"
    _zip(path, {f"{i:04}.npy": b"x" * (100_000 if i == 0 else 0) for i in range(100)})
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    first = bytes(data[at : at + 46])
    while data[at : at + 4] == b"PK\x01\x02":
        data[at + 16 : at + 28] = first[16:28]  # checksum and sizes
        data[at + 42 : at + 46] = first[42:46]  # where it lies
        at += 46 + 8
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive:
        assert sum(each.file_size for each in archive.infolist()) == 10_000_000
    with pytest.raises(StorageError, match="its entries are larger than the file"):
        read(path)


@pytest.mark.parametrize("way", ["counted", "listed", "zip64"])
def test_a_million_entries_are_not_even_listed(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.skops"
    n, listing = (MAX_ENTRIES + 1, 46) if way == "counted" else (1, 46_000_000)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, n, n, listing, 0, 0)
    locator = b"PK\x06\x07".ljust(20, b"\0") if way == "zip64" else b""
    path.write_bytes(b"PK\x03\x04" + bytes(1000) + locator + end)

    def unopened(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(zipfile, "ZipFile", unopened)
    with pytest.raises(StorageError, match=f"more than {MAX_ENTRIES} entries"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"{}", b"\0" * 100, b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_no_model_at_all(family: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILES[family]).write_bytes(content)
    with pytest.raises(StorageError):
        family_module(family).load(tmp_path, BINARY)
    (tmp_path / FILES[family]).unlink()
    with pytest.raises(StorageError, match="No such file"):
        family_module(family).load(tmp_path, BINARY)


@pytest.mark.parametrize("fault", ["", "changed", "missing", "link", "manifest"])
def test_a_model_of_a_version_is_held_against_its_manifest(fault: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    path = folder / "model.ubj"
    path.write_bytes(b"what was deployed")
    files = {"model/model.ubj": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}, "params.json": {}}
    check_sealed(folder)  # there is no manifest yet
    (tmp_path / "manifest.json").write_text(json.dumps({"files": files}))
    match fault:
        case "changed":
            path.write_bytes(b"What was deployed")
        case "missing":
            path.unlink()
        case "link":
            path.rename(tmp_path / "elsewhere")
            path.symlink_to(tmp_path / "elsewhere")
        case "manifest":
            (tmp_path / "manifest.json").write_text("{}")
    if not fault:
        check_sealed(folder)
        return
    with pytest.raises(
        StorageError, match=r"manifest.*cannot be read" if fault == "manifest" else "failed its checksum"
    ):
        check_sealed(folder)


def test_where_no_model_was_fitted_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="There is no model at") as caught:
        load_model(tmp_path / "000002" / "model")
    assert "retrain --force" in caught.value.remedy
