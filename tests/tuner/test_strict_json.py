"""The one door for JSON: what it refuses and where it says so; all the rest it reads as Python does."""

import json
import math
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuner.errors import UsageError
from tuner.strict_json import MAX_DEPTH, dumps, loads

REFUSED: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "the text is empty"),
    "blank": (" \n\t ", "the text is empty"),
    "a byte order mark": ("\ufeff{}", "must not start with a byte order mark, at 1:1."),
    "a byte order mark in bytes": (b"\xef\xbb\xbf{}", "byte order mark, at 1:1."),
    "no UTF-8": (b'{"a":\n "\xff"}', "must be UTF-8, but a byte is not, at 2:3."),
    "UTF-16": ("{}".encode("utf-16-le"), "at 1:2."),
    "a NUL": ("{\0}", "at 1:2."),
    "a NUL in a string": ('["\\u0000"]', "must not hold a NUL character, at 1:2."),
    "a raw control character": ('["a\nb"]', "Not a JSON string"),
    "an escape that is none": (r'["\x41"]', "Not a JSON string (Invalid \\escape"),
    "half an escape": (r'["\u12"]', "Not a JSON string"),
    "a lone surrogate": (r'["a", "\ud800"]', r"must not hold a lone surrogate (\ud800), at 1:7."),
    "a raw lone surrogate": ('["\udc80"]', "must not hold a lone surrogate"),
    "surrogates in the wrong order": (r'["\ude00\ud83d"]', "must not hold a lone surrogate"),
    "an open object": ('{"a": 1', "it ends where ',' or '}' must stand, at 1:8."),
    "an open array": ("[1,", "it ends where a value must stand, at 1:4."),
    "an open string": ('{"a', "Not a JSON string (Unterminated string"),
    "a cut key": ('{"a"', "it ends where ':' after the key 'a' must stand"),
    "a cut word": ("tru", "there is 'tru', at 1:1."),
    "a cut number": ("[-", "there is '-', at 1:2."),
    "a comma too many": ('{"a": 1,}', "Here must stand a key in double quotes, but there is '}', at 1:9."),
    "a comma too many in an array": ("[1,]", "there is ']', at 1:4."),
    "a comma too few": ('{"a": 1 "b": 2}', "Here must stand ',' or '}', but there is '\"', at 1:9."),
    "a colon too few": ('{"a" 1}', "Here must stand ':' after the key 'a', but there is '1', at 1:6."),
    "single quotes": ("{'a': 1}", 'a key in double quotes, but there is "\'", at 1:2.'),
    "a bare key": ("{a: 1}", "a key in double quotes, but there is 'a', at 1:2."),
    "a number as key": ("{1: 1}", "a key in double quotes, but there is '1', at 1:2."),
    "a comment": ("{} // why", "but '// why' follows it, at 1:4."),
    "trailing text": ('{"a": 1}\n{"b": 2}', "must be one value, but '{\"b\": 2}' follows it, at 2:1."),
    "two numbers": ("1 2", "but '2' follows it, at 1:3."),
    "Python's None": ("[None]", "there is 'None', at 1:2."),
    "NaN": ('{"a": 1,\n "b": NaN}', "must be finite, but there is NaN, at 2:7."),
    "Infinity": ("Infinity", "must be finite, but there is Infinity, at 1:1."),
    "-Infinity": ("[1, -Infinity]", "must be finite, but there is -Infinity, at 1:5."),
    "nan in small letters": ("[nan]", "must be finite, but there is nan, at 1:2."),
    "beyond a float": ("[1e999]", "'1e999' is beyond the range of a float, at 1:2."),
    "beyond a float, negative": ("-1e400", "is beyond the range of a float, at 1:1."),
    "beyond 64 bits": (
        "[9223372036854775808]",
        "must fit into 64 bits, but there is '9223372036854775808', at 1:2.",
    ),
    "beyond 64 bits, negative": ("-9223372036854775809", "must fit into 64 bits"),
    "5,000 digits": (
        "[" + "9" * 5000 + "]",
        "must fit into 64 bits, but there is '999999999999999999999999999999...'",
    ),
    "a leading zero": ("[01]", "there is '01', at 1:2."),
    "a leading plus": ("[+1]", "there is '+1', at 1:2."),
    "a leading point": ("[.5]", "there is '.5', at 1:2."),
    "a point and nothing": ("[1.]", "Here must stand ',' or ']', but there is '.', at 1:3."),
    "an exponent and nothing": ("[1e]", "there is '1e', at 1:2."),
    "hexadecimal": ("[0x10]", "there is '0x10', at 1:2."),
    "digits of another script": ("[\u0661]", "at 1:2."),
    "a space of another script": ("[\u00a01]", "at 1:2."),
    "a key twice": ('{"lr": 1,\n "depth": 2,\n "lr": 3}', "but 'lr' stands at 1:2 too, at 3:2."),
    "a key twice in an inner object": ('{"a": [{"b": 1, "b": 1}]}', "but 'b' stands at 1:9 too, at 1:17."),
    "a key twice, once escaped": (r'{"a": 1, "\u0061": 2}', "but 'a' stands at 1:2 too, at 1:10."),
    "too deep": ("[" * 65 + "]" * 65, "nested no deeper than 64 levels, at 1:65."),
    "far too deep": ("[" * 100_000, "nested no deeper than 64 levels, at 1:65."),
    "objects far too deep": ('{"a":' * 100_000, "nested no deeper than 64 levels"),
    "too long": ('"' + "a" * 2_000_000 + '"', "must be no longer than 1,000,000 bytes, but got 2,000,002."),
    "too long in bytes only": (
        '"' + "é" * 600_000 + '"',
        "must be no longer than 1,000,000 bytes, but got 1,200,002.",
    ),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_wrong_is_said_with_its_place(text: str | bytes, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        loads(text)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 200
    assert caught.value.remedy


def test_every_cut_of_a_document_is_refused() -> None:
    text = '{"a": [1, -2.5e3, true, null], "b": {"c": "d\\n"}, "e": ""}'
    assert loads(text) == json.loads(text)
    for end in range(len(text)):
        with pytest.raises(UsageError):
            loads(text[:end])


def test_the_limits_themselves_are_allowed() -> None:
    assert loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert loads("[9223372036854775807, -9223372036854775808]") == [2**63 - 1, -(2**63)]
    assert loads('"' + "a" * 999_998 + '"', max_bytes=1_000_000) == "a" * 999_998
    assert loads("1.7976931348623157e308") == 1.7976931348623157e308


def test_what_is_too_long_is_refused_before_it_is_read() -> None:
    text = "[" + "1," * 2_000_000 + "1]"
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match="must be no longer"):
            loads(text)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_numbers_keep_their_type() -> None:
    found = loads("[1, 1.0, 1e0, -0, -0.0, 0.1]")
    assert [type(value) for value in found] == [int, float, float, int, float, float]
    assert math.copysign(1, found[4]) == -1


def test_pairs_of_surrogates_are_one_character() -> None:
    assert loads(r'"\ud83d\ude00"') == loads('"\U0001f600"') == "\U0001f600"


strings = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    strings,
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(strings, inner, max_size=4)),
    max_leaves=12,
)


@given(values, st.sampled_from([None, 2]), st.booleans())
@settings(max_examples=200, deadline=None)
def test_sound_json_is_read_as_python_reads_it(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert loads(text) == json.loads(text)
    assert loads(text.encode()) == value
    assert loads(dumps(value)) == value


@given(st.text(st.sampled_from('{}[]",:\\ntrue0123456789.eE+-NaIfy \n\té\ud800'), max_size=40))
@settings(max_examples=500, deadline=None)
def test_anything_else_is_refused_and_never_crashes(text: str) -> None:
    try:
        found = loads(text)
    except UsageError:
        return
    assert found == json.loads(text)


def test_written_json_is_canonical() -> None:
    assert dumps({"b": 1.0, "a": [None, True, "é"]}) == '{"a":[null,true,"é"],"b":1.0}'


@pytest.mark.parametrize("value", [math.nan, [math.inf], {1, 2}, b"x", "\ud800", {("a",): 1}])
def test_what_is_no_json_is_not_written(value: Any) -> None:
    with pytest.raises(UsageError, match="Only plain, finite values"):
        dumps(value)
