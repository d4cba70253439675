"""What the codec refuses, and in which words; what is shared and what is not."""

import datetime
import enum
import sys
import unittest
from typing import Any, List

from flotilla_runner.js_values import JsMap, RegExp
from flotilla_runner.tags import SerializationError
from flotilla_runner.values import decode_value, encode_value

sys.setrecursionlimit(6_000)


class Colour(enum.Enum):
    RED = "red"


class Own:
    pass


def tagged(text: str) -> bytes:
    return bytes.fromhex("02" + text)


class Refusals(unittest.TestCase):
    def _refuses(self, value: Any, message: str) -> None:
        with self.assertRaisesRegex(SerializationError, message):
            encode_value(value, "result")

    def test_name_the_path_and_what_to_do(self) -> None:
        self._refuses({"a": [1, {2}, print]}, r"^result\.a\[2\] is a builtin_function_or_method,")
        self._refuses({"b c": {1: Own()}}, r'^result\["b c"\]\.get\(1\) is a .*Own, .*: send a dict')
        self._refuses(Colour.RED, r"^result is a .*Colour, which cannot be sent: send its \.value")
        self._refuses([datetime.date(2024, 1, 1)], r"^result\[0\] is a datetime\.date.*datetime")
        self._refuses(1 + 2j, r"^result is a complex.*\.real")
        self._refuses(Own, r"^result is a type, .*: send an instance")

    def test_hold_for_values_that_nest_too_deep(self) -> None:
        deep: List[Any] = []
        for _ in range(1_001):
            deep = [deep]
        self._refuses(deep, "nests deeper than 1000 levels")
        inner = deep[0][0]
        self.assertEqual(decode_value(encode_value(inner)), inner)

    def test_hold_for_bytes_that_are_no_value(self) -> None:
        for data, message in (
            (b"", "is empty"),
            (b"\x07", "encoding 7 is unknown"),
            (b"\x01{", "is broken"),
            (b"\x01NaN", "NaN is no JSON"),
            (tagged("63"), "unknown tag 99"),
            (tagged("0000"), "goes on for 1 bytes"),
            (tagged("0b05"), "cut short"),
            (tagged("06ff"), "cut short"),
            (tagged("0601ff"), "is broken"),
            (tagged("1300"), "object 0, which is not there"),
            (tagged("0cffffffff0f00"), "too long for a list"),
            (tagged("09000000000000f87f"), "outside Python's years"),
            (tagged("11030101"), "a typed array of 1 bytes"),
            (tagged("0e010b0000"), "holds a list where Python wants something hashable"),
            (tagged("0f02040202"), "another item that equals it"),
            (tagged("16630000"), "an array of type 99"),
            (tagged("160b01020400000000"), "NdArray of 4 bytes"),
        ):
            with self.subTest(data.hex()), self.assertRaisesRegex(SerializationError, message):
                decode_value(data)

    def test_hold_for_depth_that_bytes_claim(self) -> None:
        with self.assertRaisesRegex(SerializationError, "deeper|broken"):
            decode_value(tagged("0b01" * 1_100 + "00"))
        with self.assertRaises(SerializationError):
            decode_value(b"\x01" + b"[" * 100_000 + b"]" * 100_000)


class Sharing(unittest.TestCase):
    def test_is_kept_for_what_can_change_and_not_made_for_what_cannot(self) -> None:
        row: List[int] = []
        pair = (1, 2)
        back = decode_value(encode_value([row, row, pair, pair, b"", b"", {"x": {1}}]))
        self.assertIs(back[0], back[1])
        self.assertIsNot(back[2], back[3])

    def test_of_tuples_that_hold_others_does_not_grow_without_end(self) -> None:
        value: Any = ([],)
        for _ in range(60):
            value = (value, value)
        self.assertLess(len(encode_value(value)), 1_000)

    def test_ends_cycles_through_every_kind_of_holder(self) -> None:
        items: List[Any] = []
        items.append(({"back": items}, JsMap({"x": items})))
        back = decode_value(encode_value(items))
        self.assertIs(back[0][0]["back"], back)
        self.assertIs(back[0][1]["x"], back)


class Patterns(unittest.TestCase):
    def test_of_javascript_compile_where_the_syntax_is_the_same(self) -> None:
        found = RegExp("(?<year>\\d{4})(?=-)(?<!x)", "i").compile().match("2024-")
        assert found is not None
        self.assertEqual(found["year"], "2024")


if __name__ == "__main__":
    unittest.main()
