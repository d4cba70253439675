"""Two hundred copies of one process share not one value of any generator."""

import json
import os
import random
import secrets
import ssl
import unittest
import uuid
from typing import Any, Dict, List

from flotilla_runner import reseed

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]

COPIES = 200


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
