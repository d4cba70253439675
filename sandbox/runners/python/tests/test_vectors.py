"""The wire format as ``sdk/protocol/values/vectors.json`` pins it, from Python's side."""

import array
import collections
import dataclasses
import datetime
import enum
import json
import math
import pathlib
import re
import unittest
from typing import Any, Callable, Dict, List, Set

from flotilla_runner.js_values import ArrayBuffer, JsError, JsMap, RegExp, Url
from flotilla_runner.values import decode_value, encode_value

ROOT = pathlib.Path(__file__).resolve().parents[4]
VECTORS = json.loads((ROOT / "sdk/protocol/values/vectors.json").read_text("utf-8"))
UTC = datetime.timezone.utc


def _cycle() -> Dict[str, Any]:
    node: Dict[str, Any] = {"name": "a"}
    node["self"] = node
    return node


def _shared() -> Dict[str, Any]:
    row = [1]
    return {"first": row, "second": row}


def _is_cycle(value: Any) -> bool:
    return value["self"] is value and value["name"] == "a"


def _is_shared(value: Any) -> bool:
    return value == _shared() and value["first"] is value["second"]


def _is_error(value: Any) -> bool:
    return (
        isinstance(value, JsError)
        and (value.name, value.message) == ("RangeError", "too far")
        and str(value.stack).endswith("at walk")
        and value.cause.message == "the wind"
    )


def _is_error_of_many(value: Any) -> bool:
    return value.name == "AggregateError" and [one.name for one in value.errors] == ["TypeError"]


def _is_minus_zero(value: Any) -> bool:
    return value == 0 and math.copysign(1, value) == -1


# What each vector is in Python: a value to be equal to, or a test of it.
EXPECTED: Dict[str, Any] = {
    "plain JSON": {"a": [1, 2.5, "ü€🚢", True, None], "__proto": {}},
    "numbers of JSON at their edges": [
        *(2**53 - 1, -(2**53) + 1, 9007199254740992.0, 1e20, 1e21, 5e-324)
    ],
    "half a surrogate pair in JSON": "x\ud800",
    "undefined": None,
    "null beside undefined": [None, None],
    "truth": [None, [True, False]],
    "whole numbers of 32 bits": [None, [0, 1, -1, 2**31 - 1, -(2**31)]],
    "whole numbers above 32 bits": [None, [2**31, 2**53 - 1, -(2**53) + 1, float(2**60)]],
    "fractions": [None, [0.1, -1.5, 5e-324, 1.7976931348623157e308]],
    "minus zero": _is_minus_zero,
    "infinities": [math.inf, -math.inf],
    "text": [None, ["", "abc", "ü€🚢", "\0"]],
    "long text": [None, "ä" * 100],
    "half a surrogate pair": [None, "\udfffx\ud800"],
    "big integers": [2**64, -(2**200)],
    "a small big integer": 5,
    "a date": datetime.datetime(2023, 11, 14, 22, 13, 20, 123000, UTC),
    "a date before 1970": datetime.datetime(1969, 12, 31, 23, 59, 59, 999000, UTC),
    "a pattern": RegExp("a+\\/(?<year>\\d)", "giu"),
    "an array with a hole": [1, None, None, 4],
    "an object": [None, {"a": 1, "b c": [], "__proto__x": {}}],
    "a map of texts": JsMap({"a": 1}),
    "a map of others": JsMap({1: "one", None: [2]}),
    "a set": {"only"},
    "bytes": b"\x00\x01\xff",
    "an array buffer": ArrayBuffer(b"\x09\x08"),
    "clamped bytes": b"\x07",
    "a data view": b"\x08\x07",
    "an error": _is_error,
    "an error of many": _is_error_of_many,
    "one list twice": _is_shared,
    "a cycle": _is_cycle,
    "a wrapped number": 5,
    "an address": Url("https://example.test/a?b=c#d"),
    "int8": [-128, 127],
    "int16": [-32768, 1],
    "uint16": [65535, 1],
    "int32": [-5, 5],
    "uint32": [4294967295],
    "float32": [0.5, -1.0],
    "float64": [0.1],
    "int64": [-1],
    "uint64": [2**64 - 1],
    "a matrix": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
    "an image": [[[1, 2, 3], [4, 5, 6]]],
}

Pair = collections.namedtuple("Pair", "a b")


@dataclasses.dataclass
class Point:
    x: int
    tags: Set[str]


class Colour(enum.IntEnum):
    GREEN = 2



FROM_PYTHON: Dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "a tuple": lambda: (1, (2, "x")),
    "a float that is whole": lambda: [1.0, 2.5],
    "a dict of numbers": lambda: {1: "a"},
    "a large int": lambda: 2**70,
    "a named tuple": lambda: Pair(1, 2),
    "a dataclass": lambda: Point(1, {"a"}),
    "a whole enum": lambda: [Colour.GREEN],
    "a bytearray": lambda: bytearray(b"\x01\x02"),
    "a naive time in UTC": lambda: datetime.datetime(1970, 1, 1, tzinfo=UTC),
    "an aware time": lambda: datetime.datetime(
        1970, 1, 1, tzinfo=datetime.timezone(-datetime.timedelta(hours=1))
    ),
    "a pattern of Python": lambda: re.compile("(?P<y>a)", re.IGNORECASE),
    "an array.array": lambda: array.array("f", [1.5]),
    "a table of bytes": lambda: memoryview(b"\x01\x02\x03\x04").cast("B", [2, 2]),
    "the same list twice": _shared,
    "equal tuples": lambda: dict.fromkeys(("first", "second"), (1,)),
    "NaN in a list": lambda: [math.nan],
}


def _plain(value: Any) -> Any:
    """Arrays as lists, whichever library they are of."""
    return value.tolist() if hasattr(value, "tolist") else value


class FromJavaScript(unittest.TestCase):
    def test_every_vector_is_expected_here(self) -> None:
        names = [vector["name"] for vector in VECTORS["fromJavaScript"]]
        self.assertEqual(names, list(EXPECTED))

    def test_each_is_read_and_goes_back_as_it_came(self) -> None:
        for vector in VECTORS["fromJavaScript"]:
            name = vector["name"]
            with self.subTest(name):
                value = decode_value(bytes.fromhex(vector["bytes"]))
                expected = EXPECTED[name]
                if callable(expected):
                    self.assertTrue(expected(value), value)
                else:
                    self.assertEqual(_plain(value), expected)
                    self.assertIs(type(value) is bool, type(expected) is bool)
                back = vector.get("back", vector["bytes"])
                self.assertEqual(encode_value(value).hex(), back)


class FromPython(unittest.TestCase):
    def test_every_vector_is_made_here(self) -> None:
        names: List[str] = [vector["name"] for vector in VECTORS["fromPython"]]
        self.assertEqual(names, list(FROM_PYTHON))

    def test_each_has_its_bytes(self) -> None:
        for vector in VECTORS["fromPython"]:
            with self.subTest(vector["name"]):
                value = FROM_PYTHON[vector["name"]]()
                self.assertEqual(encode_value(value).hex(), vector["bytes"])


if __name__ == "__main__":
    unittest.main()
