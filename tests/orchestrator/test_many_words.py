"""Options that take several words, as people type them."""

import click
import pytest
from click.testing import CliRunner

from orchestrator.cli.options import ManyWords, spread


@click.command(cls=ManyWords)
@click.option("--sites", multiple=True)
@click.option("--sizes", multiple=True, type=float)
@click.option("--name")
@click.option("--quick", is_flag=True)
def command(sites: tuple[str, ...], sizes: tuple[float, ...], name: str | None, quick: bool) -> None:
    click.echo(f"{sites} {sizes} {name} {quick}")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--sites A B C --quick", "('A', 'B', 'C') () None True"),
        ("--sites A --sites B", "('A', 'B') () None False"),
        ("--sites=A B --name x", "('A', 'B') () x False"),
        ("--sizes 0.5 1.0 --sites A", "('A',) (0.5, 1.0) None False"),
        ("--sizes -1 0.5", "() (-1.0, 0.5) None False"),
        ("--name A --quick", "() () A True"),
        ("--sites=-x --sites --y", "('-x', '--y') () None False"),
    ],
)
def test_several_words_and_repeated_options_mean_the_same(typed: str, meant: str) -> None:
    result = CliRunner().invoke(command, typed.split())
    assert result.output == meant + "\n"
    assert result.exit_code == 0


@pytest.mark.parametrize("typed", ["--sites", "--sizes 0.5 half", "--name A B", "--sites A -z"])
def test_what_is_wrong_is_still_said(typed: str) -> None:
    assert CliRunner().invoke(command, typed.split()).exit_code == 2


def test_words_of_other_options_stay_as_they_are() -> None:
    words = ["-v", "--name", "--sites", "x"]
    assert spread(words, {"--sizes"}) == words
