"""Every kind in every format, from the command to the file."""

import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.cli import cli
from orchestrator.plots import KINDS, plot
from orchestrator.plots.canvas import Canvas
from retrain.cli import run_command
from tests.retrain.story import BASE, Story, better, tell_all
from tuner.errors import UsageError
from tuner.experiment import Direction
from tuner.goals import Goals, Objective
from tuner.insight import INSIGHT, Importance, Insight
from tuner.registry import open_registry

SVG = "{http://www.w3.org/2000/svg}"
OF_ONE = tuple(kind for kind in KINDS if kind != "front")
CONFIG = '[pipeline]\nkind = "mine:train"\nmetric = "roc_auc"\n[study]\nname = "breast"\n'

Run = Callable[..., tuple[int, str, str]]


def log_insight(story: Story) -> None:
    names = ("learning_rate", "max_depth")
    known = tuple(Importance(name, 0.5, 0.25, 0.75, "higher", 1.0, dead=name != names[0]) for name in names)
    story.registry.log(INSIGHT, "x", study="breast", **Insight(12, known, None).to_dict())


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    story = Story(tmp_path)
    tell_all(story)
    log_insight(story)
    story.registry.close()
    (tmp_path / "retrain.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = run_command(cli, "orchestrator", list(arguments))
        return code, *capsys.readouterr()

    return run


def assert_is_picture(path: Path) -> None:
    content = path.read_bytes()
    if path.suffix == ".png":
        assert content.startswith(b"\x89PNG")
        assert len(content) > 5000
        return
    text = content.decode()
    svg = text[text.index("<svg") : text.index("</svg>") + 6]
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    # Nothing is fetched: no script, no link to anywhere but into the file itself.
    assert "<script" not in text
    links = re.findall(r'(?:href|src)="([^"]*)"', text) + re.findall(r"url\(([^)]*)\)", text)
    assert all(link.startswith(("#", "data:")) for link in links)


@pytest.mark.parametrize("kind", OF_ONE)
def test_every_kind_in_every_format(run: Run, tmp_path: Path, kind: str) -> None:
    for suffix in ("png", "svg", "html"):
        code, out, err = run("plot", kind, "-o", f"x.{suffix}")
        assert (code, out, err) == (0, f"x.{suffix}\n", "")
        assert_is_picture(tmp_path / f"x.{suffix}")
    assert sorted(path.name for path in tmp_path.glob("*x.*")) == ["x.html", "x.png", "x.svg"]


def test_marks_tell_which_experiment_they_are(run: Run, tmp_path: Path) -> None:
    for kind in ("convergence", "parallel", "slice", "learning-curves", "default-against-tuned"):
        assert run("plot", kind, "-o", "x.svg")[0] == 0
        titles = [each.text or "" for each in ET.parse(tmp_path / "x.svg").iter(f"{SVG}title")]
        told = "\n".join(titles)
        assert "tuned, cross-validated: 0.934" in told or re.search(r"7: bayesian_\d+_\d+_001\n0\.934", told)


def test_the_same_study_is_the_same_file(run: Run, tmp_path: Path) -> None:
    run("plot", "convergence", "-o", "a.svg")
    run("plot", "convergence", "-o", "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_the_file_is_named_after_the_kind_by_default(run: Run, tmp_path: Path) -> None:
    assert run("plot", "slice") == (0, "slice.html\n", "")
    assert (tmp_path / "slice.html").is_file()


def test_an_unknown_kind_is_refused_by_name(run: Run) -> None:
    code, _, err = run("plot", "convergense", "-o", "x.png")
    assert code == 2
    assert "'convergense'" in err
    assert "Did you mean 'convergence'?" in err


def test_another_suffix_is_refused(run: Run) -> None:
    code, _, err = run("plot", "slice", "-o", "x.pdf")
    assert code == 2
    assert ".png, .svg, .html" in err


def test_a_folder_that_is_not_there_is_refused(run: Run) -> None:
    code, _, err = run("plot", "slice", "-o", "no/x.png")
    assert code == 2
    assert "no/x.png: there is no such folder" in err


def test_a_file_that_cannot_be_written_leaves_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.png").mkdir()
    code, _, err = run("plot", "slice", "-o", "x.png")
    assert code == 2
    assert "it is a folder" in err
    assert not list(tmp_path.glob(".picture-*"))


def test_nothing_yet_is_exit_code_6(run: Run, tmp_path: Path) -> None:
    (tmp_path / "retrain.toml").write_text(CONFIG.replace("breast", "other"))
    code, _, err = run("plot", "slice", "-o", "x.png")
    assert code == 6
    assert "no study 'other'" in err


def test_without_matplotlib_there_is_one_clear_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, err = run("plot", "slice", "-o", "x.png")
    assert code == 2
    assert "matplotlib, which is not installed" in err
    assert "pip install 'retrain[plots]'" in err


def test_one_experiment_can_be_drawn(story: Story, tmp_path: Path) -> None:
    story.scored(BASE, "default")
    log_insight(story)
    for kind in OF_ONE:
        plot(story.registry, story.study, kind, tmp_path / "x.svg", pipeline="breast", folds=5)


def test_hundreds_with_outliers_and_failures_can_be_drawn(story: Story, tmp_path: Path) -> None:
    for i in range(60):
        if i % 10 == 3:
            story.failed("no", max_depth=2 + i % 9)
        else:
            story.scored(better(BASE, -1e6 if i % 10 == 5 else i / 1000), max_depth=2 + i % 9)
    for kind in ("convergence", "parallel", "slice", "learning-curves"):
        plot(story.registry, story.study, kind, tmp_path / "x.svg", pipeline="breast", folds=5)


def test_odd_texts_are_drawn_as_they_are(tmp_path: Path) -> None:
    canvas = Canvas(4, 3, "$x_1$ <b>&amp; 漢字 \u202e", "100 % of $\\frac{")
    with canvas.drawing() as figure:
        canvas.dots(figure.subplots(), [1], [1], ["<i>a</i> & b\x00"])
    for suffix in ("png", "svg", "html"):
        canvas.save(tmp_path / f"x.{suffix}")
        assert_is_picture(tmp_path / f"x.{suffix}")
    assert "&lt;b&gt;" in (tmp_path / "x.html").read_text("utf-8")


def test_several_objectives_have_no_tuned_one(tmp_path: Path, run: Run) -> None:
    with open_registry(tmp_path / "experiments.db", create=False) as registry:
        study = registry.find_study("breast")
        assert study is not None
        two = replace(study, goals=Goals((Objective("accuracy", Direction.MAXIMIZE),)))
        with pytest.raises(UsageError, match="several objectives") as raised:
            plot(registry, two, "default-against-tuned", tmp_path / "x.png", pipeline="breast")
        assert "orchestrator plot front" in raised.value.remedy


def test_one_objective_has_no_front(run: Run) -> None:
    code, _, err = run("plot", "front", "-o", "x.png")
    assert code == 2
    assert "has one objective, so there is a best one and no front" in err
    assert "orchestrator plot convergence" in err
