"""Frames: the same bytes as ``sdk/protocol/frames.ts`` makes."""

import unittest

from flotilla_runner.frames import FrameDecoder, FrameError, encode_frame, split_body


class Frames(unittest.TestCase):
    def test_one_frame_has_the_bytes_of_the_format(self) -> None:
        frame = encode_frame({"type": "ready"}, [b"ab", memoryview(b"c")])
        self.assertEqual(frame.hex(), "17000000100000007b2274797065223a227265616479227d616263")

    def test_frames_cut_anywhere_come_whole_and_in_order(self) -> None:
        stream = b"".join(encode_frame({"n": n}, [bytes(n)]) for n in range(5))
        for size in (1, 2, 3, 7, 11, len(stream)):
            decoder = FrameDecoder()
            frames = []
            for start in range(0, len(stream), size):
                frames += decoder.push(stream[start : start + size])
            self.assertEqual(frames, [({"n": n}, bytes(n)) for n in range(5)])
            self.assertEqual(decoder.missing_bytes, 8)

    def test_a_frame_above_the_limit_is_refused_before_it_is_held(self) -> None:
        decoder = FrameDecoder(100)
        with self.assertRaisesRegex(FrameError, "101 bytes"):
            decoder.push((101).to_bytes(4, "little") + bytes(4))

    def test_what_is_no_frame_is_refused(self) -> None:
        for data in (
            (4).to_bytes(4, "little") + (1).to_bytes(4, "little"),
            encode_frame({}).replace(b"{}", b"[]"),
            encode_frame({}).replace(b"{}", b"{{"),
            encode_frame({}).replace(b"{}", b"\xff\xff"),
        ):
            with self.subTest(data), self.assertRaises(FrameError):
                FrameDecoder().push(data + bytes(16))

    def test_a_body_is_cut_into_exactly_its_pieces(self) -> None:
        self.assertEqual([bytes(each) for each in split_body(b"abc", [1, 0, 2])], [b"a", b"", b"bc"])
        for sizes in ([1], [4], [-1, 4], []):
            with self.subTest(sizes), self.assertRaises(FrameError):
                split_body(b"abc", sizes)


if __name__ == "__main__":
    unittest.main()
