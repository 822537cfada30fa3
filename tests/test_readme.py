"""README and its pages keep up with the code: options, snippets, links."""

import re
import tomllib
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import click
import optuna
import pytest

from orchestrator.cli import cli as orchestrator_cli
from retrain.cli import cli as retrain_cli
from retrain.config import load_config
from tuner.space import FloatParam, SearchSpace

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
GUIDES = ("configuration", "gate", "pipelines", "reports", "objectives", "comparison", "python", "operations")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
INDENTED = [
    block
    for path in (ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in (*GUIDES, "warm_start")))
    for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", path.read_text("utf-8"), re.MULTILINE)
]


def options(command: click.Command) -> set[str]:
    """Every option of a command and of its subcommands."""
    found = {
        name for p in command.params if isinstance(p, click.Option) for name in (*p.opts, *p.secondary_opts)
    }
    if isinstance(command, click.Group):
        found |= {name for child in command.commands.values() for name in options(child)}
    return found


def test_every_option_is_in_the_readme_and_every_option_there_exists() -> None:
    table = README[README.index("## All options") : README.index("## What holds when things break")]
    written = set(re.findall(r"(?<![\w-])(--?[a-z][a-z0-9-]*)", table))
    real = options(retrain_cli) | options(orchestrator_cli) | {"-h"}  # click adds it on its own
    missing = {name for name in real if name.startswith("--")} - written
    assert not missing - {"--help", "--quiet", "--verbose"}, "not in the README's tables"
    assert not written - real, "in the README's tables, but no command has it"


def anchors(path: Path) -> set[str]:
    """What the headings of a page are called in links, as GitHub makes it."""
    headings = re.findall(r"^#+ (.*)", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        if "://" not in link and not (target.exists() and (not anchor or anchor in anchors(target))):
            lost.append(link)
    assert lost == []


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda path: path.name)
def test_every_page_is_found_from_the_readme(page: Path) -> None:
    assert f"](docs/{page.name}" in README


@pytest.mark.parametrize("name", ["retrain", "orchestrator"])
def test_every_subcommand_is_in_the_readme(name: str) -> None:
    group = {"retrain": retrain_cli, "orchestrator": orchestrator_cli}[name]
    assert isinstance(group, click.Group)
    assert [each for each in group.commands if f"`{name} {each}" not in README] == []


def toml_snippets() -> list[str]:
    """Indented blocks that hold a table of a retrain.toml, without programs; not units of systemd."""
    blocks = []
    for block in INDENTED:
        lines = [line[4:] for line in block.splitlines()]
        starts = [i for i, line in enumerate(lines) if re.match(r"\[\[?[a-z]", line)]
        if starts and lines[starts[0]].rstrip().endswith("]"):
            blocks.append("\n".join(lines[starts[0] :]))
    return blocks


FUNCTION = (
    '[pipeline]\nkind = "mine:train"\nmetric = "roc_auc"\n[space.params.x]\ntype = "int"\nlow = 1\nhigh = 9\n'
)


def test_the_snippets_of_configuration_are_accepted(tmp_path: Path) -> None:
    snippets = toml_snippets()
    assert len(snippets) > 15, "they are found at all"
    for number, text in enumerate(snippets):
        document: dict[str, Any] = tomllib.loads(text)
        path = tmp_path / f"{number}.toml"
        path.write_text(text if "pipeline" in document else FUNCTION + text)
        config = load_config(path)
        assert config.search_space().defaults()
        assert len(config.gate) == len(document.get("gate", []))


def test_the_python_snippet_runs(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    blocks = [block for block in INDENTED if "from orchestrator import tune" in block]
    assert len(blocks) == 3, "README.md and twice docs/python.md"
    for block, told in zip(blocks, ("{'lr':", "{'lr':", "[("), strict=True):
        code = "\n".join(line[4:] for line in block.splitlines())
        exec(re.sub(r"configs=\d+", "configs=3", code), names)
        assert told in capsys.readouterr().out
    spaces = next(block for block in INDENTED if "SearchSpace.of(" in block)
    exec("\n".join(line[4:] for line in spaces.splitlines()), names)
    assert names["space"].params["alpha"].log
    assert len(names["space"]) == 7
    parts = next(block for block in INDENTED if "make_generator(" in block)
    exec("\n".join(line[4:] for line in parts.splitlines()), names)
    assert len(names["s"]) == 4


def test_the_snippet_for_scikit_learn_runs(capsys: pytest.CaptureFixture[str]) -> None:
    block = next(block for block in INDENTED if "import RetrainSearchCV" in block)
    code = "\n".join(line[4:] for line in block.splitlines()).replace("n_iter=20", "n_iter=2")
    exec(code.replace("load_digits(", "load_digits(n_class=2, "))
    assert capsys.readouterr().out.startswith("{'svc__C': ")


def test_the_snippets_for_other_tools_run(monkeypatch: pytest.MonkeyPatch) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names: dict[str, Any] = {"space": SearchSpace([FloatParam("lr", 0.0, 1.0)])}
    for start in ("import RetrainSampler", "RetrainSampler(space=space)"):
        block = next(block for block in INDENTED if start in block)
        code = "\n".join(line[4:] for line in block.splitlines())
        exec(code.replace("n_trials=30", "n_trials=3"), names)
        assert len(names["study"].trials) == 3
    block = next(block for block in INDENTED if "import RetrainSearcher" in block)
    begin = MagicMock()
    monkeypatch.setattr("ray.tune.Tuner", begin)
    exec("\n".join(line[4:] for line in block.splitlines()), names)
    given = begin.call_args.kwargs  # test_ray_tune.py has a real run
    settings = given["tune_config"]
    searcher = settings.search_alg
    assert searcher.set_search_properties(settings.metric, settings.mode, given["param_space"])
    assert set(searcher.suggest("trial")) == {"net", "layers"}
