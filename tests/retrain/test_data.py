import gzip
import logging
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrain.config.pipeline import BUILT_IN_DATA
from retrain.data import Columns, Table, make_table, read_table, warn_of_row_names
from retrain.metrics import get_metric
from tests.retrain.projects import mixed_frame
from tuner.errors import DataError


def read(folder: Path, content: str | bytes, name: str = "data.csv") -> pd.DataFrame:
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(name, folder)


def table(frame: pd.DataFrame, metric: str = "accuracy", **options: Any) -> Table:
    return make_table(frame, options.pop("target", "y"), get_metric(metric), **options)


def fault_of(frame: pd.DataFrame, metric: str = "accuracy", **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        table(frame, metric, **options)
    return f"{caught.value} | {caught.value.remedy}"


# ---- reading


@pytest.mark.parametrize("name", BUILT_IN_DATA)
def test_what_scikit_learn_carries_needs_no_file(name: str, tmp_path: Path) -> None:
    frame = read_table(name, tmp_path)
    assert "target" in frame.columns
    assert len(frame) > 100


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_seen(tmp_path: Path, separator: str) -> None:
    frame = read(tmp_path, f"a{separator}b\n1{separator}x\n")
    assert list(frame.columns) == ["a", "b"]


def test_a_byte_order_mark_and_compression_are_no_trouble(tmp_path: Path) -> None:
    assert list(read(tmp_path, "\ufeffa,b\n1,2\n").columns) == ["a", "b"]
    assert list(read(tmp_path, gzip.compress(b"a,b\n1,2\n"), "data.csv.gz").columns) == ["a", "b"]


def test_parquet_is_read(tmp_path: Path) -> None:
    frame = mixed_frame()
    frame.to_parquet(tmp_path / "data.parquet")
    read_back = read_table("data.parquet", tmp_path)
    assert table(read_back, drop=["day"]).fingerprint == table(frame, drop=["day"]).fingerprint


def test_parquet_without_its_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="needs pyarrow") as caught:
        read(tmp_path, b"PAR1", "data.parquet")
    assert caught.value.remedy == "pip install 'retrain[parquet]'"


@pytest.mark.parametrize(
    ("content", "name", "part"),
    [
        (b"", "data.csv", "are empty"),
        (b"\n", "data.csv", "are empty"),
        (b"a,b\n", "data.csv", "have a header, but no rows"),
        (b"a,b\n\xe4,1\n", "data.csv", "must be UTF-8 text"),
        ("a,b\n1,2\n".encode("utf-16"), "data.csv", "must be UTF-8 text"),
        (b"a,b\n1,2\n1,2,3\n", "data.csv", "not a table: Expected 2 fields in line 3, saw 3"),
        (b"a,b\n1,2,3\n1,2,3\n", "data.csv", "not a table: "),
        (b"a,b,a\n1,2,3\n", "data.csv", "several columns named 'a'"),
        (b"no gzip", "data.csv.gz", "cannot be read"),
        (gzip.compress(b"a,b\n1,2\n" * 999, mtime=0)[:40], "data.csv.gz", "cannot be read"),
        (b"PAR1 no parquet", "data.parquet", "not a readable Parquet file"),
        (b"a,b\n1,2\n", "data.xlsx", "must be CSV or Parquet"),
    ],
)
def test_a_file_that_is_no_table_is_one_sentence(
    tmp_path: Path, content: bytes, name: str, part: str
) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, content, name)
    assert part in str(caught.value)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('a,b\n"1,2\n', 2),
        ('a,b\n1,"two\nlines"\n2,"open\n3,z\n', 4),
        ('a,b\r\n1,"two\r\nlines"\r\n2,"open\r\n3,z\r\n', 4),
        ('a;b\n1;"said ""so""\n2;3', 2),
        ('a,b\n1,2\n3,"', 3),
        ('a,"b\n1,2\n', 1),
        ('a,"b\n' + "1,2\n" * 50_000, 1),
        ('a,b\n1,2\n3,"x\n' + "4,5\n" * 50_000, 3),
    ],
    ids=["first", "after two lines", "of Windows", "doubled", "last", "header", "long header", "long"],
)
def test_a_quote_that_is_never_closed_is_named_by_its_line(tmp_path: Path, content: str, line: int) -> None:
    with pytest.raises(DataError, match=f"the quote that opens on line {line} is never closed") as caught:
        read(tmp_path, content.encode())
    assert "Close it" in caught.value.remedy


@pytest.mark.parametrize(
    ("content", "line", "further"),
    [
        ('a,b,c\n1,x,2\n3,"y,4\n5,z,6\n7,u",8\n9,v,10\n', 3, "2 lines"),
        ('a;b;c\r\n1;x;2\r\n3;"y;4\r\n7;"u";8\r\n', 3, "1 line"),
        ('n,age,y\n1,"30,1\n2,31,0\n3,32",1\n4,33,0\n', 2, "2 lines"),
        ('n,age,y,z\n1,"30,1,2\n2,31,"0",1\n3,32,1,5\n', 2, "1 line"),
    ],
    ids=["text", "of Windows", "number", "another column"],
)
def test_rows_that_a_stray_quote_merges_are_told_by_its_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str, line: int, further: str
) -> None:
    read(tmp_path, content.encode())
    assert f"The quote that opens on line {line} of data.csv closes {further} below" in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        't,y\n"good, 5\nvery",1\n"bad\nindeed",0\n',  # a line of one text looks like a row, of the other not
        'n,t,y\n1,"I came, saw\nand, well, won\nbye, bye",1\n2,x,0\n',
        't,u\n"a,b\nc",d\n',  # nothing to know rows by
        'n,t\n1,"a\nb"\n2,c\n',
        "n,b\n1,True\n2,\n3,False\n",
    ],
)
def test_texts_with_line_breaks_are_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    read(tmp_path, content.encode())
    assert caplog.text == ""


def test_a_header_over_two_lines_is_a_header(tmp_path: Path) -> None:
    assert list(read(tmp_path, b'a,"b\nc"\n1,2\n').columns) == ["a", "b\nc"]


@pytest.mark.parametrize(
    ("content", "encoding"),
    [("a,b\n\xe4,1\n".encode("latin1"), "latin1"), ("a,b\n1,2\n".encode("utf-16"), "utf-16")],
)
def test_of_another_encoding_the_remedy_makes_what_can_be_read(
    tmp_path: Path, content: bytes, encoding: str
) -> None:
    with pytest.raises(DataError) as caught:
        read(tmp_path, content)
    assert f"-f {encoding} -t utf-8 data.csv" in caught.value.remedy
    assert list(read(tmp_path, content.decode(encoding).encode()).columns) == ["a", "b"]


def test_a_file_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "credit.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"do not exist\. Did you mean 'credit\.csv'"):
        read_table("credt.csv", tmp_path)
    with pytest.raises(DataError, match="Did you mean 'breast_cancer'"):
        read_table("brest_cancer", tmp_path)
    with pytest.raises(DataError, match="it is a folder"):
        read_table(".", tmp_path)


def test_row_numbers_without_a_name_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert list(read(tmp_path, ",a,b\n0,1,2\n1,3,4\n").columns) == ["a", "b"]
    assert "taken for row numbers" in caplog.text


# ---- features


def test_numbers_booleans_and_categories_become_one_matrix() -> None:
    frame = pd.DataFrame(
        {
            "c": ["x", None, " x", "a"],
            "n": [1, 2, 3, 4],
            "f": [True, False, True, True],
            "m": [1.5, None, 0, 1],
        }
    )
    columns = Columns.of(frame)
    assert columns.numbers == ("n", "f", "m")
    assert columns.categories == {"c": ("a", "x")}
    expected = [[1, 1, 1.5, 1], [2, 0, np.nan, -1], [3, 1, 0, 1], [4, 1, 1, 0]]
    np.testing.assert_array_equal(columns.encode(frame), expected)


def test_rows_to_predict_may_come_in_any_order_with_values_never_seen() -> None:
    columns = Columns(("n",), {"c": ("a", "x")})
    rows = pd.DataFrame({"extra": [0, 0], "c": ["new", "a"], "n": ["3", None]})
    np.testing.assert_array_equal(columns.encode(rows), [[3, -2], [np.nan, 0]])
    with pytest.raises(DataError, match="must have the columns 'n'"):
        columns.encode(rows[["c"]])
    with pytest.raises(DataError, match="'n' must hold numbers"):
        columns.encode(rows.assign(n="many"))


def test_numbers_with_blanks_between_are_numbers(tmp_path: Path) -> None:
    frame = read(tmp_path, "charge,flag\n29.85,True\n ,\n1889.5,False\n")
    columns = Columns.of(frame)
    assert columns.names == columns.numbers == ("charge", "flag")
    np.testing.assert_array_equal(columns.encode(frame), [[29.85, 1], [np.nan, np.nan], [1889.5, 0]])


@pytest.mark.parametrize(
    "values",
    [
        ["2026-01-31", "2026-02-01"],
        ["31/01/2026", "01/02/2026"],
        ["2026-01-31T10:00:00Z", None],
        pd.to_datetime(["2026-01-31", "2026-02-01"]),
        [pd.Timedelta("1h"), pd.Timedelta("2h")],
        [pd.Timestamp("2026-01-01").date(), None],
        pd.Categorical(pd.to_datetime(["2026-01-31", "2026-02-01"])),
    ],
)
def test_dates_are_refused_with_the_ways_out(values: Any) -> None:
    with pytest.raises(DataError, match="The column 'when' holds dates or times") as caught:
        Columns.of(pd.DataFrame({"when": values}))
    assert "drop = ['when']" in caught.value.remedy


@pytest.mark.parametrize("values", [[[1], [2]], [1j, 2j], [{"a": 1}, None], [b"x", b"y"]])
def test_what_is_neither_number_nor_text_is_refused(values: Any) -> None:
    with pytest.raises(DataError, match="The column 'odd' holds"):
        Columns.of(pd.DataFrame({"odd": values}))


@pytest.mark.parametrize(
    "dtype", ["Int64", "Float64", "boolean", "string", "category", "int8", "float32", "object"]
)
def test_every_kind_of_column_that_pandas_has_is_taken(dtype: str) -> None:
    values = {"string": ["a", None, "b"], "category": ["a", None, "b"], "boolean": [True, None, False]}.get(
        dtype, [1, 2, 3] if dtype == "int8" else [1, None, 3]
    )
    frame = pd.DataFrame({"c": pd.Series(values, dtype=dtype)})
    encoded = Columns.of(frame).encode(frame)
    assert encoded.dtype == np.float64
    assert encoded.shape == (3, 1)


def test_infinity_is_refused_with_its_row() -> None:
    frame = pd.DataFrame({"a": [1.0, np.inf], "y": [0, 1]})
    with pytest.raises(DataError, match="'a' must hold finite numbers, but is infinite in row 1"):
        Columns.of(frame).encode(frame)


def test_columns_survive_json() -> None:
    columns = Columns(("n",), {"c": ("a", "x")})
    assert Columns.from_dict(columns.to_dict()) == columns


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=6)),
        min_size=1,
        max_size=12,
    )
)
def test_any_text_is_a_category_or_a_number_or_a_date(values: list[str | None]) -> None:
    frame = pd.DataFrame({"c": pd.Series(values, dtype="str")})
    try:
        columns = Columns.of(frame)
        encoded = columns.encode(frame)
    except DataError as error:
        assert "dates" in str(error) or "infinite" in str(error)  # noqa: PT017 - either is fine
        return
    missing = [value is None or not value.strip() for value in values]
    if columns.categories:
        assert [code == -1 for code in encoded[:, 0]] == missing
        assert (encoded != -2).all()


# ---- targets


@pytest.mark.parametrize(
    ("values", "classes", "codes"),
    [
        ([0, 1, 1, 0], (0, 1), [0, 1, 1, 0]),
        ([2.0, 1.0, 2.0, 1.0], (1, 2), [1, 0, 1, 0]),
        (["yes", "no", " no", "yes"], ("no", "yes"), [1, 0, 0, 1]),
        ([True, False, True, True], (False, True), [1, 0, 1, 1]),
        (pd.Categorical(["b", "a", "b", "a"]), ("a", "b"), [1, 0, 1, 0]),
    ],
)
def test_classes_are_coded_in_ascending_order(
    values: Any, classes: tuple[Any, ...], codes: list[int]
) -> None:
    made = table(pd.DataFrame({"a": range(4), "y": values}))
    assert (made.classes, made.y.tolist(), made.task) == (classes, codes, "binary")
    assert all(type(value) in (int, bool, str) for value in made.classes)


def test_rows_without_a_target_are_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    made = table(pd.DataFrame({"a": range(6), "y": ["u", "v", None, " ", "v", "u"]}))
    assert made.features[:, 0].tolist() == [0, 1, 4, 5]
    assert "2 of 6 rows have no 'y' and are left out" in caplog.text


@pytest.mark.parametrize(
    ("values", "metric", "part"),
    [
        ([1, 1, 1, 1], "accuracy", "must have at least two classes, but every row is 1"),
        ([1.0, 1.0, 1.0, None], "accuracy", "must have at least two classes"),
        ([None] * 4, "accuracy", "every row lacks one"),
        (
            [0, 1, 2, 0, 1, 2],
            "roc_auc",
            "needs two classes, but the target 'y' has 3. | Metrics for several classes: roc_auc_ovr",
        ),
        ([0.5, 1.5, 0.5, 1.5], "accuracy", "holds fractions such as 0.5. | Choose a metric of regression"),
        ([1, 2, 3, 4], "accuracy", "4 different values in 4 rows"),
        (["a", "b", "a", "b"], "rmse", "must hold numbers for the metric 'rmse', but holds 'a'"),
        ([True, False, True, False], "rmse", "must hold numbers"),
        ([1.0, np.inf, 2.0, 3.0], "rmse", "must hold finite numbers"),
        ([2.0, 2.0, 2.0, 2.0], "rmse", "must vary, but every row has 2"),
        (pd.date_range("2026-01-01", periods=4), "rmse", "it holds dates"),
    ],
)
def test_a_target_that_cannot_be_learned_is_one_sentence(values: Any, metric: str, part: str) -> None:
    assert part in fault_of(pd.DataFrame({"a": range(len(values)), "y": values}), metric)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"target": "default"}, "have no column 'default', as target names it. Did you mean 'defaults'?"),
        ({"drop": ["b"]}, "have no column 'b', as drop names it."),
        ({"group": "g"}, "have no column 'g', as splits.group names it."),
        ({"drop": ["y"]}, "must not be dropped"),
        ({"time": "y"}, "nor be the group or time column"),
        ({"drop": ["a", "defaults"]}, "must have a column besides the target"),
        ({"group": "a"}, "The group 'a' must be known in every row"),
        ({"time": "a"}, "The time 'a' must be known in every row"),
    ],
)
def test_a_column_that_does_not_fit_its_role_is_named(options: dict[str, Any], part: str) -> None:
    frame = pd.DataFrame({"a": [1.0, None, 2.0, 3.0], "defaults": [1, 2, 3, 4], "y": [0, 1, 0, 1]})
    assert part in fault_of(frame, **options)


# ---- groups, times, the fingerprint


def test_groups_and_times_are_no_features_and_dates_are_ordered() -> None:
    frame = mixed_frame(40).drop(columns="site").sample(frac=1, random_state=0)
    made = table(frame, time="day")
    assert "day" not in made.columns.names
    assert made.times is not None
    assert made.times.tolist() == frame.index.tolist()
    grouped = table(mixed_frame(40), group="site", drop=["day"])
    assert grouped.groups is not None
    assert "site" not in grouped.columns.names


def test_times_that_are_neither_numbers_nor_iso_dates_are_refused() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3, 4], "t": ["soon", "later", "soon", "now"], "y": [0, 1, 0, 1]})
    assert "must be numbers or ISO dates" in fault_of(frame, time="t")


def test_the_fingerprint_follows_content_names_and_order_and_nothing_else() -> None:
    frame = mixed_frame()
    base = table(frame, drop=["day"]).fingerprint
    assert base.startswith("sha256:")
    assert table(frame.copy(), drop=["day"]).fingerprint == base
    assert table(frame.assign(day="x"), drop=["day"]).fingerprint == base, "dropped columns say nothing"
    changed = frame.assign(b=frame["b"] + 1e-9 * (frame.index == 7))
    others = [
        table(changed, drop=["day"]),
        table(frame.rename(columns={"b": "c"}), drop=["day"]),
        table(frame.iloc[::-1], drop=["day"]),
        table(frame.iloc[:-1], drop=["day"]),
        table(frame.assign(colour=frame["colour"].replace("red", "rot")), drop=["day"]),
        table(frame.assign(y=frame["y"] + 1), drop=["day"]),
        table(frame, drop=["day"], group="site"),
    ]
    assert len({base, *(made.fingerprint for made in others)}) == len(others) + 1


def test_a_table_travels_without_a_copy() -> None:
    made = table(mixed_frame(), drop=["day"])
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(made, protocol=5, buffer_callback=buffers.append)
    assert sum(buffer.raw().nbytes for buffer in buffers) >= made.features.nbytes + made.y.nbytes
    assert len(body) < 2000
    back = pickle.loads(body, buffers=buffers)
    assert back.fingerprint == made.fingerprint


@pytest.mark.parametrize(
    ("name", "values", "named"),
    [
        ("customerID", [f"{i:04}-ABC" for i in range(30)], True),
        ("nearly", [f"{min(i, 27)}-ABC" for i in range(30)], True),
        ("town", [f"{i % 15}-ABC" for i in range(30)], False),
        ("n", range(30), True),
        ("n", range(30, 0, -1), True),
        ("n", [*range(1, 30), 0], False),
        ("n", [i / 2 for i in range(30)], False),
        ("n", [0, *range(29)], False),
        *((like, [*range(1, 30), 0], True) for like in ("ID", "row_id", "userId", "Key")),
        *((unlike, [*range(1, 30), 0], False) for unlike in ("paid", "SQUID", "grid", "identity")),
    ],
)
def test_columns_that_name_the_rows_are_warned_of(
    caplog: pytest.LogCaptureFixture, name: str, values: Any, named: bool
) -> None:
    frame = pd.DataFrame({"a": [0.5, 1.5] * 15, name: list(values), "y": [0, 1] * 15})
    made = table(frame)
    assert name in made.columns.names, "it is the user's to leave out"
    warn_of_row_names(made)
    said = [record.getMessage() for record in caplog.records]
    warning = f"The column {name!r} seems to name the rows, which helps no model: "
    warning += f"leave it out with drop = [{name!r}] under [pipeline]."
    assert said == ([warning] if named else [])


def test_few_rows_say_nothing_of_identifiers(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_row_names(table(pd.DataFrame({"n": range(10), "y": [0, 1] * 5})))
    assert caplog.text == ""


def test_reading_warns_of_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mixed_frame().to_csv(tmp_path / "data.csv", index=False)
    with caplog.at_level(logging.WARNING):
        table(read_table("data.csv", tmp_path), drop=["day"])
    assert caplog.text == ""
