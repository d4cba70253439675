"""Lines: whole, owned, and bounded."""

import unittest
from typing import List, Optional

from flotilla_runner.output import LINE_CHARACTERS_MAX, Output


class Lines(unittest.TestCase):
    def setUp(self) -> None:
        self.wakes = 0
        self.owner: Optional[str] = None
        self.output = Output(self._wake, lambda: self.owner)

    def _wake(self) -> None:
        self.wakes += 1

    def _print(self, text: str, stream: str = "stdout") -> None:
        self.output.write(stream, text.encode("utf-8"))

    def _texts(self, everything: bool = False) -> List[str]:
        batch = self.output.take(everything)
        return [] if batch is None else [line["text"] for line in batch["lines"]]

    def test_leave_when_they_are_finished_whatever_the_writes_were(self) -> None:
        self._print("on")
        self.assertEqual(self.wakes, 0)
        self._print("e\ntwo\n\nth")
        self.assertEqual(self.wakes, 1)
        self.assertEqual(self._texts(), ["one", "two", ""])
        self._print("ree\n")
        self.assertEqual(self._texts(), ["three"])
        self.assertIsNone(self.output.take(True))

    def test_keep_their_streams_and_inputs_apart(self) -> None:
        self._print("o")
        self._print("e", "stderr")
        self.owner = "a"
        self._print("mine\n")
        self.owner = None
        self._print("ut\n")
        self._print("rr\n", "stderr")
        batch = self.output.take(False)
        assert batch is not None
        self.assertEqual(
            batch["lines"],
            [
                {"stream": "stdout", "text": "mine", "inputId": "a"},
                {"stream": "stdout", "text": "out"},
                {"stream": "stderr", "text": "err"},
            ],
        )

    def test_end_with_their_input(self) -> None:
        self.owner = "a"
        self._print("50 %")
        self.output.finish("a")
        self.owner = "b"
        self._print("100 %\n")
        self.assertEqual(self._texts(), ["50 %", "100 %"])

    def test_hold_characters_together_that_were_written_in_pieces(self) -> None:
        for byte in "ü€🚢\n".encode("utf-8"):
            self.output.write("stdout", bytes((byte,)))
        self.assertEqual(self._texts(), ["ü€🚢"])

    def test_are_cut_when_they_are_too_long_and_the_next_is_whole(self) -> None:
        self._print("x" * 40_000)
        self._print("x" * 40_000)
        self._print("\nshort\n")
        self.assertEqual([len(text) for text in self._texts()], [LINE_CHARACTERS_MAX, 5])

    def test_are_bounded_in_memory_and_what_is_dropped_is_counted_to_the_byte(self) -> None:
        line = "x" * 1023 + "\n"
        for _ in range(10 * 1024):
            self._print(line)
        batch = self.output.take(True)
        assert batch is not None
        self.assertLess(len(batch["lines"]), 1_100)
        kept_bytes = len(batch["lines"]) * len(line)
        self.assertEqual(kept_bytes + batch["droppedBytes"], 10 * 1024 * 1024)
        self._print("after\n")
        self.assertEqual(self._texts(), ["after"])


if __name__ == "__main__":
    unittest.main()
