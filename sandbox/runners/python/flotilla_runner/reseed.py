"""Random generators of a process that is a copy of another: each seeded anew.

A copy (a fork, or a restore from memory) has the state of its original, so that both would draw
the same values. What asks the kernel each time (``os.urandom``, ``secrets``, ``uuid.uuid4``) is
fresh by itself. The generators of the modules ``random`` and ``numpy.random``, and those of
native libraries (native_generators.py), are always seeded; those that the user's code made are
where it gave them no seed of its own, and keep their sequence where it did, as they would have in
a process that is no copy.
"""

import gc
import hashlib
import os
import random
import sys
from typing import Any, List, Optional
from weakref import WeakSet

from .native_generators import hold_native, reseed_native

# Entropy that numpy draws by itself has 128 bits; a user's seed is hardly ever that long.
_OWN_ENTROPY_BITS_MIN = 96

_unseeded: "WeakSet[random.Random]" = WeakSet()
_held: Optional[List[Any]] = None
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
    """Finds the generators that copies of this process are to seed, so that none need look.

    Numpy's cannot be found once the collector has stopped to list what there is. Raises
    RuntimeError where one that is loaded cannot be reached.
    """
    global _held
    hold_native()
    numpy_random = sys.modules.get("numpy.random")
    _held = None if numpy_random is None else _own_generators(numpy_random)


def generator_obstacle() -> Optional[str]:
    """Why a copy of this process could not be seeded anew; None when it can, which is tried."""
    try:
        hold_generators()
        reseed(os.urandom(48))
    except Exception as error:
        return f"its random generators cannot be seeded anew: {error}"
    return None


def reseed(entropy: bytes) -> None:
    """Seeds every generator, from ``entropy`` and from the kernel's; raises where one cannot be."""
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
    _reseed_standard_library(source)
    reseed_native(source.take)


class _Source:
    """Independent runs of bytes from one secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._taken = 0

    def take(self) -> bytes:
        self._taken += 1
        return hashlib.sha512(self._secret + self._taken.to_bytes(8, "little")).digest()


def _reseed_standard_library(source: _Source) -> None:
    """What its modules have drawn and kept."""
    uuid = sys.modules.get("uuid")
    if uuid is not None:
        # libuuid keeps its node and sequence where nobody reaches them; Python's own way draws.
        uuid._generate_time_safe = None  # type: ignore[attr-defined]
        node = int.from_bytes(source.take()[:6], "big")
        uuid._node = node | 1 << 40  # type: ignore[attr-defined]
        uuid._last_timestamp = None  # type: ignore[attr-defined]
    process = sys.modules.get("multiprocessing.process")
    if process is not None:
        process.current_process().authkey = source.take()[:32]


def _reseed_numpy(source: _Source) -> None:
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is None:
        return
    # Those that are made from now on seed themselves from the kernel.
    for each in _own_generators(numpy_random) if _held is None else _held:
        if isinstance(each, numpy_random.SeedSequence):
            _renew_sequence(each, source)
        elif isinstance(each, numpy_random.RandomState):
            # It has drawn its next normal value already.
            each.set_state({**each.get_state(legacy=False), "has_gauss": 0, "gauss": 0.0})
        else:
            fresh = numpy_random.SeedSequence(int.from_bytes(source.take(), "little"))
            each.state = type(each)(fresh).state


def _own_generators(numpy_random: Any) -> List[Any]:
    """What numpy seeded itself, and the module's own: bits before the states that use them."""
    wrappers = (numpy_random.Generator, numpy_random.RandomState)
    kinds = (*wrappers, numpy_random.BitGenerator, numpy_random.SeedSequence)
    modules_own = numpy_random.mtrand._rand
    found = {}
    for each in [modules_own, *gc.get_objects()]:
        if not isinstance(each, kinds):
            continue
        # The collector does not list what it has no need to: it is found by who has it.
        bits = getattr(each, "_bit_generator", each)
        sequence = getattr(bits, "_seed_seq", bits)
        if each is modules_own or _is_unseeded(sequence):
            found.update({id(one): one for one in (sequence, bits, each) if one is not None})
    return [each for each in found.values() if not isinstance(each, numpy_random.Generator)]


def _is_unseeded(sequence: Any) -> bool:
    # What was seeded as `RandomState(42)` is has no sequence.
    entropy = getattr(sequence, "entropy", None)
    return isinstance(entropy, int) and entropy.bit_length() >= _OWN_ENTROPY_BITS_MIN


def _renew_sequence(sequence: Any, source: _Source) -> None:
    """In its place, because what was seeded by it spawns others from it."""
    fresh = type(sequence)(
        int.from_bytes(source.take()[:32], "little") | 1 << 255,
        spawn_key=sequence.spawn_key,
        pool_size=sequence.pool_size,
    )
    _, (_, _, state), *rest = fresh.__reduce__()
    sequence.__setstate__(rest[0] if state is None else state)
