"""Files are replaced in one step, in their own folder, and never where they must not be."""

import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrain.deploy.files import remove_leftovers, safe_path, write_atomic
from tuner.errors import ConfigError, StorageError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_content_is_replaced_and_permissions_stay(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    path.write_text("old")
    path.chmod(0o640)
    write_atomic(path, b"new", "x")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["model.py"]


def test_a_new_file_follows_the_umask_and_none_removes(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomic(tmp_path / "new.json", b"1", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "new.json").stat().st_mode & 0o777 == 0o640
    write_atomic(tmp_path / "new.json", None, "x")
    write_atomic(tmp_path / "new.json", None, "x")
    assert names(tmp_path) == []


def test_the_temporary_file_stands_in_the_same_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a target on another file system than /tmp (or than the versions) is no case of its own (EXDEV)."""
    path = tmp_path / "model.py"
    moved: list[tuple[Path, Path]] = []
    replace = Path.replace

    def spy(self: Path, other: Path) -> Path:
        moved.append((self, Path(other)))
        if self.parent != Path(other).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(self, other)

    monkeypatch.setattr(Path, "replace", spy)
    write_atomic(path, b"x", "x")
    assert [(a.parent, b) for a, b in moved] == [(tmp_path, path)]


def test_links_and_folders_and_outside_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "secret.py").write_text("x")
    (root / "link.py").symlink_to(tmp_path / "secret.py")
    (root / "inside.py").symlink_to(root / "other.py")
    (root / "folder.py").mkdir()
    (root / "away").symlink_to(tmp_path)
    os.mkfifo(root / "pipe.py")
    cases = {
        "link.py": "symbolic link",
        "inside.py": "symbolic link",
        "folder.py": "not one",
        "pipe.py": "not one",
        "../secret.py": "inside the project folder",
        str(tmp_path / "secret.py"): "inside the project folder",
        "away/secret.py": "inside the project folder",
        "none/model.py": "must exist",
        "..": "inside the project folder",
        "model.py/x": "must exist",
    }
    for name, said in cases.items():
        with pytest.raises(ConfigError, match=said):
            safe_path(root, Path(name))
    (root / "sub").mkdir()
    assert safe_path(root, Path("sub/../model.py")) == root / "model.py"
    assert safe_path(root, root / "model.py") == root / "model.py"


@pytest.fixture
def nearly_full_disk() -> Iterator[None]:
    """No file may grow beyond 100 bytes: what a full disk or a quota does, without a disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_old_content(tmp_path: Path, nearly_full_disk: None) -> None:
    path = tmp_path / "model.py"
    path.write_text("old")
    with pytest.raises(StorageError, match=r"refused writing 'model.py'"):
        write_atomic(path, b"x" * 101, "x")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["model.py"]


def test_leftovers_of_this_file_go_and_others_stay(tmp_path: Path) -> None:
    for name in (".a[1].py.00ff.retrain-tmp", ".b.py.00ff.retrain-tmp", "a[1].py", ".a[1].py.swp"):
        (tmp_path / name).write_text("")
    remove_leftovers(tmp_path / "a[1].py")
    assert names(tmp_path) == [".a[1].py.swp", ".b.py.00ff.retrain-tmp", "a[1].py"]
