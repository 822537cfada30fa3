"""The benchmark of generators runs: one built-in problem, ours and random search, a few experiments."""

import json
from pathlib import Path

import pytest

from benchmarks.search import main

ARGUMENTS = "--methods ours,random --problems sklearn:wine:logistic --seeds 0 --n 6 --scale 5".split()  # noqa: SIM905


def test_results_are_kept_and_only_what_is_missing_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.json"
    arguments = [*ARGUMENTS, "--out", str(out)]
    assert main(arguments) == 0
    assert "\nours" in capsys.readouterr().out
    kept = out.read_text("utf-8").splitlines()
    rows = {row["method"]: row for row in map(json.loads, kept) if row["section"] == "search"}
    assert sorted(rows) == ["ours", "random"]
    assert all(len(row["losses"]) == 6 for row in rows.values())

    # As if the process had been killed while it wrote the result of ours.
    out.write_text("\n".join(line for line in kept if '"method": "ours"' not in line) + '\n{"key": "cut of')
    assert main([*arguments, "--report"]) == 0
    assert "\nours" not in capsys.readouterr().out
    assert main(arguments) == 0
    again, progress = capsys.readouterr()
    assert "1 are missing" in progress
    last = json.loads(out.read_text("utf-8").splitlines()[-1])
    assert (last["method"], last["losses"]) == ("ours", rows["ours"]["losses"])
    assert main([*arguments, "--report"]) == 0
    assert capsys.readouterr().out == again
