"""Tables of benchmarks say what is true of one data set, too; what would have no row in them is refused."""

import numpy as np
import pytest

from benchmarks import memory, stages
from benchmarks.memory import with_interval

REGRETS = [1.0 / (1 + i) for i in range(13)]


def test_one_data_set_has_no_interval() -> None:
    of_memory = memory.table({("a", 0): dict.fromkeys(memory.ARMS, REGRETS)}, 12)
    of_stages = stages.table({("a", 0): {"stages": 0.25, "flat, same cost": 0.5}})
    for text in (of_memory, of_stages):
        assert "nan" not in text
        assert "no interval" in text
    assert "-0.250 (of one" in of_stages


def test_where_the_cold_one_found_the_best_there_is_no_share_of_it() -> None:
    found = {arm: REGRETS if arm != "cold" else [0.0] * 13 for arm in memory.ARMS}
    text = memory.table({("a", 0): found, ("b", 0): found}, 12)
    assert "nan" not in text
    assert "inf" not in text


def test_of_several_the_interval_is_that_of_their_mean() -> None:
    # t of 2 degrees of freedom is 4.3027 at 0.975; the standard error of 0, 1, 2 is 1 / sqrt(3)
    assert with_interval(np.array([0.0, 1.0, 2.0])) == "+1.000 [-1.484, +3.484]"


@pytest.mark.parametrize(
    ("main", "arguments", "message"),
    [
        (memory.main, "--n 9", "argument --n: must be at least 10, but is 9"),
        (memory.main, "--sets 0", "argument --sets: must be at least 1, but is 0"),
        (stages.main, "--problems 0", "argument --problems: must be at least 1, but is 0"),
        (stages.main, "--seeds none", "argument --seeds: invalid"),
    ],
)
def test_what_has_no_row_in_the_table_is_refused(
    main: object, arguments: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(main)
    with pytest.raises(SystemExit) as caught:
        main(arguments.split())
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
