"""Random generators of a process that is a copy of another: each seeded anew.

A copy (a fork, or a restore from memory) has the state of its original, so that both would draw
the same values. What asks the kernel each time (``os.urandom``, ``secrets``, ``uuid.uuid4``) is
fresh by itself. The generators of the modules ``random`` and ``numpy.random``, and OpenSSL's,
are always seeded; those that the user's code made are where it gave them no seed of its own, and
keep their sequence where it did, as they would have in a process that is no copy.
"""

import gc
import hashlib
import os
import random
import sys
from typing import Any, List
from weakref import WeakSet

# Entropy that numpy draws by itself has 128 bits; a user's seed is hardly ever that long.
_OWN_ENTROPY_BITS_MIN = 96

_unseeded: "WeakSet[random.Random]" = WeakSet()
_held: List[Any] = []
_is_prepared = False


def prepare() -> None:
    """Watches from now on which generators are made without a seed; before the user's code."""
    global _is_prepared
    if _is_prepared:
        return
    _is_prepared = True
    original = random.Random.seed

    def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        original(self, a, version)
        if a is None:
            _unseeded.add(self)
        else:
            _unseeded.discard(self)

    random.Random.seed = seed  # type: ignore[method-assign]


def hold_generators() -> None:
    """Remembers numpy's generators, before the collector stops to list what there is."""
    generators = sys.modules.get("numpy.random")
    if generators is not None:
        _held.extend(_own_bit_generators(generators))


def reseed(entropy: bytes) -> None:
    """Seeds every generator, from ``entropy`` and from the kernel's."""
    source = _Source(entropy + os.urandom(48))
    random.seed(source.take())
    for generator in list(_unseeded):
        if not isinstance(generator, random.SystemRandom):
            random.Random.seed(generator, int.from_bytes(source.take(), "little"))
            _unseeded.add(generator)
    _reseed_numpy(source)
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "manual_seed"):
        torch.manual_seed(int.from_bytes(source.take()[:7], "little"))
    if "_ssl" in sys.modules or "_hashlib" in sys.modules:
        _reseed_openssl(source)


class _Source:
    """Independent runs of bytes from one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._taken = 0

    def take(self) -> bytes:
        self._taken += 1
        return hashlib.sha512(self._secret + self._taken.to_bytes(8, "little")).digest()


def _reseed_numpy(source: _Source) -> None:
    numpy = sys.modules.get("numpy")
    generators = sys.modules.get("numpy.random")
    if numpy is None or generators is None:
        return
    generators.seed(numpy.frombuffer(source.take(), dtype="uint32"))
    # Those that are made from now on seed themselves from the kernel.
    for bits in _held or _own_bit_generators(generators):
        fresh = generators.SeedSequence(int.from_bytes(source.take(), "little"))
        bits.state = type(bits)(fresh).state


def _own_bit_generators(generators: Any) -> List[Any]:
    """Those that numpy seeded itself; the user's code holds them by their Generator."""
    found = []
    for each in gc.get_objects():
        bits = each if isinstance(each, generators.BitGenerator) else None
        if isinstance(each, generators.Generator):
            bits = each.bit_generator
        if bits is None or any(bits is known for known in found):
            continue
        sequence = getattr(bits, "seed_seq", None) or getattr(bits, "_seed_seq", None)
        entropy = getattr(sequence, "entropy", None)
        if isinstance(entropy, int) and entropy.bit_length() >= _OWN_ENTROPY_BITS_MIN:
            found.append(bits)
    return found


def _reseed_openssl(source: _Source) -> None:
    try:
        import _ssl
    except ImportError:
        # A Python without OpenSSL has no generator of it.
        return
    _ssl.RAND_add(source.take()[:48], 48.0)
