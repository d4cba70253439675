"""Two hundred copies of one process share not one value of any generator."""

import json
import os
import random
import secrets
import ssl
import sys
import types
import unittest
import unittest.mock
import uuid
from typing import Any, Dict, List

from flotilla_runner import native_generators, reseed

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]

COPIES = 200
HELD_COPIES = 50


def draw(own: Dict[str, Any]) -> Dict[str, str]:
    """One value of every generator that a user can reach."""
    values = {
        "random": random.getrandbits(64),
        "own random": own["random"].getrandbits(64),
        "secrets": secrets.token_hex(8),
        "uuid": uuid.uuid4().hex,
        "ssl": ssl.RAND_bytes(8).hex(),
        "urandom": os.urandom(8).hex(),
    }
    if numpy is not None:
        values["numpy"] = numpy.random.random()
        values["numpy generator"] = own["numpy"].integers(2**62)
        values["numpy philox"] = own["philox"].random_raw()
    return {name: str(value) for name, value in values.items()}


def copies(count: int, own: Dict[str, Any]) -> List[Dict[str, str]]:
    """What as many forks of this process draw, each after it was seeded anew."""
    drawn = []
    for _ in range(count):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            reseed.reseed(b"the same entropy in every copy")
            os.write(writing, json.dumps(draw(own)).encode("ascii"))
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            drawn.append(json.load(answer))
        os.waitpid(pid, 0)
    return drawn


def forget_held() -> None:
    """As in a process that is no original of copies."""
    reseed._held = None
    native_generators._held = None


class Copies(unittest.TestCase):
    def setUp(self) -> None:
        reseed.prepare()
        self.own: Dict[str, Any] = {"random": random.Random(), "seeded": random.Random(42)}
        if numpy is not None:
            self.own["numpy"] = numpy.random.default_rng()
            self.own["philox"] = numpy.random.Philox()
            self.own["numpy seeded"] = numpy.random.default_rng(42)

    def test_share_no_value(self) -> None:
        drawn = copies(COPIES, self.own)
        for name in drawn[0]:
            with self.subTest(name):
                self.assertEqual(len({each[name] for each in drawn}), COPIES)

    def test_share_no_value_where_their_generators_were_found_before(self) -> None:
        reseed.hold_generators()
        self.addCleanup(forget_held)
        native = list(native_generators._held or [])
        drawn = copies(HELD_COPIES, self.own)
        for name in drawn[0]:
            with self.subTest(name):
                self.assertEqual(len({each[name] for each in drawn}), HELD_COPIES)
        # Python's own OpenSSL at least; and no copy has looked again.
        self.assertGreater(len(native), 0)
        self.assertEqual(native_generators._held, native)

    def test_that_cannot_be_reached_are_told_of_before_there_is_a_copy(self) -> None:
        missing = types.ModuleType("_sqlite3")
        missing.__file__ = "/nowhere/_sqlite3.so"
        self.addCleanup(forget_held)
        with unittest.mock.patch.dict(sys.modules, {"_sqlite3": missing}):
            obstacle = reseed.generator_obstacle()
        self.assertRegex(str(obstacle), "generator of sqlite3 cannot be reached")

    def test_keep_the_sequences_that_the_user_seeded(self) -> None:
        before = self.own["seeded"].getstate()
        reseed.reseed(b"x")
        self.assertEqual(self.own["seeded"].getstate(), before)
        if numpy is not None:
            expected = numpy.random.default_rng(42).integers(2**62)
            self.assertEqual(self.own["numpy seeded"].integers(2**62), expected)

    def test_are_seeded_anew_each_time(self) -> None:
        reseed.reseed(b"x")
        first = draw(self.own)
        reseed.reseed(b"x")
        second = draw(self.own)
        for name, value in first.items():
            self.assertNotEqual(value, second[name], name)


if __name__ == "__main__":
    unittest.main()
