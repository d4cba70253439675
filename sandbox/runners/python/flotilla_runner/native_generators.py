"""Random generators inside native libraries, which keep their state where Python does not reach.

Each is seeded through the library's own interface: every copy of OpenSSL that is loaded, that
inside ``cryptography``, and SQLite's. A library with a generator of its own that is not among
these (grpc's BoringSSL, for instance) draws the same in all copies of a process, if it drew
before they were made.
"""

import importlib
import os
import sys
from typing import Any, Callable, Iterator

Take = Callable[[], bytes]

_SEED_BYTES = 48


def reseed_native(take: Take) -> None:
    """Seeds each; raises RuntimeError where one that is loaded cannot be."""
    if "_ssl" in sys.modules:
        sys.modules["_ssl"].RAND_add(take()[:_SEED_BYTES], float(_SEED_BYTES))
    _reseed_cryptography(take)
    _forget_sqlite()
    for path in _loaded_libraries("libcrypto"):
        library = _library_at(path)
        library.RAND_add(_as_bytes(take()[:_SEED_BYTES]), _SEED_BYTES, _as_double(_SEED_BYTES))


def _reseed_cryptography(take: Take) -> None:
    """Its wheels have an OpenSSL inside them."""
    if "cryptography.hazmat.bindings._rust" not in sys.modules:
        return
    name = "cryptography.hazmat.bindings.openssl.binding"
    try:
        binding = importlib.import_module(name).Binding
        seed = binding.ffi.from_buffer(take()[:_SEED_BYTES])
        binding.lib.RAND_add(seed, _SEED_BYTES, float(_SEED_BYTES))
    except (ImportError, AttributeError) as error:
        raise RuntimeError(f"the OpenSSL of cryptography cannot be reached ({error})") from error


def _forget_sqlite() -> None:
    """SQLite's generator, of all connections, seeds itself from the kernel when it is next used."""
    module = sys.modules.get("_sqlite3")
    if module is None:
        return
    try:
        # Asked for no bytes, it forgets its state (sqlite.org/c3ref/randomness.html, read 2026-11).
        _library_at(module.__file__).sqlite3_randomness(0, None)
    except (AttributeError, OSError) as error:
        raise RuntimeError(f"the generator of sqlite3 cannot be reached ({error})") from error


def _loaded_libraries(name: str) -> Iterator[str]:
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        paths = {line.split(maxsplit=5)[-1].rstrip("\n") for line in maps if "/" in line}
    return (path for path in sorted(paths) if os.path.basename(path).startswith(name))


def _library_at(path: Any) -> Any:
    # Costs a start some milliseconds, and is needed seldom.
    import ctypes

    return ctypes.CDLL(path)


def _as_bytes(seed: bytes) -> Any:
    import ctypes

    return ctypes.c_char_p(seed)


def _as_double(number: int) -> Any:
    import ctypes

    return ctypes.c_double(number)
