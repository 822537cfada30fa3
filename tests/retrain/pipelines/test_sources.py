import subprocess
import sys
from pathlib import Path

import pytest

from retrain.pipelines.sources import imported_files, sources_digest

FILES = {
    "mine.py": "import helper\nfrom package import part\nfrom package.deep.leaf import f\nimport numpy\n"
    "def objective(params):\n    from later import g\n    return g(params)\n",
    "helper.py": "import mine\nOFFSET = 1\n",
    "later.py": "g = float\n",
    "unused.py": "x = 1\n",
    "package/__init__.py": "",
    "package/part.py": "from . import sibling\n",
    "package/sibling.py": "from .deep import leaf\n",
    "package/deep/__init__.py": "from ..up import *\n",
    "package/deep/leaf.py": "f = float\n",
    "package/up.py": "",
    "numpy_/__init__.py": "",
    "venv/lib/site-packages/numpy/__init__.py": "",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_everything_that_is_imported_from_the_project_is_found(root: Path) -> None:
    found = [str(path.relative_to(root)) for path in imported_files(root / "mine.py", root)]
    assert found == [
        "helper.py",
        "later.py",
        "package/__init__.py",
        "package/deep/__init__.py",
        "package/deep/leaf.py",
        "package/part.py",
        "package/sibling.py",
        "package/up.py",
    ]


@pytest.mark.parametrize("name", ["mine.py", "helper.py", "later.py", "package/up.py"])
def test_an_edit_of_any_of_them_is_another_version(root: Path, name: str) -> None:
    before = sources_digest(root / "mine.py", root)
    (root / "unused.py").write_text("x = 2\n")
    assert sources_digest(root / "mine.py", root) == before
    (root / name).write_text(FILES[name] + "# edited\n")
    assert sources_digest(root / "mine.py", root) != before


def test_a_file_that_does_not_parse_still_has_a_version(root: Path) -> None:
    (root / "helper.py").write_text("def (\n")
    assert sources_digest(root / "mine.py", root) == sources_digest(root / "mine.py", root)


def test_what_lies_outside_the_project_does_not_count(root: Path) -> None:
    assert imported_files(root / "package" / "part.py", root / "numpy_") == []


def test_the_version_does_not_depend_on_what_a_process_has_imported(root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import unused, later\n"
        "from retrain.pipelines.sources import sources_digest\n"
        "print(sources_digest(Path(sys.argv[1]) / 'mine.py', Path(sys.argv[1])))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == sources_digest(root / "mine.py", root)
