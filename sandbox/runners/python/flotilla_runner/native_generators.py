"""Random generators inside native libraries, which keep their state where Python does not reach.

Each is seeded through the library's own interface: every copy of OpenSSL that is loaded, that
inside ``cryptography``, and SQLite's. A library with a generator of its own that is not among
these (grpc's BoringSSL, for instance) draws the same in all copies of a process, if it drew
before they were made.
"""

import importlib
import os
import sys
from typing import Any, Callable, Iterator, List, Optional

Take = Callable[[], bytes]
# Seeds one library.
Seed = Callable[[Take], None]

_SEED_BYTES = 48

_held: Optional[List[Seed]] = None


def hold_native() -> None:
    """Finds what is loaded now, so that no copy of this process need look for it.

    Raises RuntimeError where one that is loaded cannot be reached.
    """
    global _held
    _held = list(_native_generators())


def reseed_native(take: Take) -> None:
    """Seeds each; raises RuntimeError where one that is loaded cannot be."""
    for seed in _native_generators() if _held is None else _held:
        seed(take)


def _native_generators() -> Iterator[Seed]:
    ssl = sys.modules.get("_ssl")
    if ssl is not None:
        yield lambda take, add=ssl.RAND_add: add(  # type: ignore[misc]
            take()[:_SEED_BYTES], float(_SEED_BYTES)
        )
    # Its wheels have an OpenSSL inside them.
    if "cryptography.hazmat.bindings._rust" in sys.modules:
        yield _of_cryptography()
    sqlite = sys.modules.get("_sqlite3")
    if sqlite is not None:
        yield _of_sqlite(sqlite)
    for path in _loaded_libraries("libcrypto"):
        yield _of_openssl(path)


def _of_cryptography() -> Seed:
    name = "cryptography.hazmat.bindings.openssl.binding"
    try:
        binding = importlib.import_module(name).Binding
        from_buffer, add = binding.ffi.from_buffer, binding.lib.RAND_add
    except (ImportError, AttributeError) as error:
        raise RuntimeError(f"the OpenSSL of cryptography cannot be reached ({error})") from error

    def seed(take: Take) -> None:
        add(from_buffer(take()[:_SEED_BYTES]), _SEED_BYTES, float(_SEED_BYTES))

    return seed


def _of_sqlite(module: Any) -> Seed:
    """SQLite's generator, of all connections, seeds itself from the kernel when it is next used."""
    try:
        randomness = _library_at(module.__file__).sqlite3_randomness
    except (AttributeError, OSError) as error:
        raise RuntimeError(f"the generator of sqlite3 cannot be reached ({error})") from error

    def forget(_: Take) -> None:
        # Asked for no bytes, it forgets its state (sqlite.org/c3ref/randomness.html, read 2026-11).
        randomness(0, None)

    return forget


def _of_openssl(path: str) -> Seed:
    # Costs a start some milliseconds, and is needed seldom.
    import ctypes

    add, count = _library_at(path).RAND_add, ctypes.c_double(_SEED_BYTES)

    def seed(take: Take) -> None:
        add(ctypes.c_char_p(take()[:_SEED_BYTES]), _SEED_BYTES, count)

    return seed


def _loaded_libraries(name: str) -> Iterator[str]:
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        paths = {line.split(maxsplit=5)[-1].rstrip("\n") for line in maps if "/" in line}
    return (path for path in sorted(paths) if os.path.basename(path).startswith(name))


def _library_at(path: Any) -> Any:
    # Costs a start some milliseconds, and is needed seldom.
    import ctypes

    return ctypes.CDLL(path)
