"""The values of one generator, sent as they are yielded and only so far ahead of the reader.

A generator that runs again begins anew: its first ``skip`` values are with the reader already
and are not sent. So it should yield the same values in the same order each time. However its
run ends, the generator is closed, so that its ``finally`` blocks run.
"""

import inspect
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Deque, Optional

from .payloads import Encoded

if TYPE_CHECKING:
    import asyncio

# Values that may be on their way to the reader.
_AHEAD_VALUES_MAX = 32
# And their bytes; one larger value goes alone.
_AHEAD_BYTES_MAX = 8 * 1024 * 1024


class ValueStream:
    """What one reader has, and what is on its way. Any thread may tell of it."""

    def __init__(self, skip: int, send: Callable[[int, bytes], None]) -> None:
        """``send`` is given the position of a value and its payload."""
        self._skip = skip
        self._send = send
        self._changed = threading.Condition()
        # Sizes of the values sent and not consumed, oldest first.
        self._ahead: Deque[int] = deque()
        self._consumed = skip
        self._is_cancelled = False
        # Tells an event loop, where one waits, what the condition tells a thread.
        self._on_change: Callable[[], None] = lambda: None

    def consume(self, position: int) -> None:
        """The reader has everything before this position."""
        with self._changed:
            while self._consumed < position and self._ahead:
                self._ahead.popleft()
                self._consumed += 1
            self._changed.notify_all()
        self._on_change()

    def cancel(self) -> None:
        """No more is wanted: the generator is closed where it yields next."""
        with self._changed:
            self._is_cancelled = True
            self._changed.notify_all()
        self._on_change()

    def drain(self, generator: Any, encode: Callable[[int, Any], Encoded]) -> Any:
        """Sends what a generator yields; gives what it returns."""
        sequence = 0
        try:
            while True:
                self._await_room()
                try:
                    value = next(generator)
                except StopIteration as end:
                    return end.value
                if sequence >= self._skip:
                    self._pass(sequence, encode(sequence, value))
                sequence += 1
        finally:
            generator.close()

    async def drain_async(
        self, generator: Any, encode: Callable[[int, Any], Awaitable[Encoded]]
    ) -> None:
        """The same of an asynchronous generator, which returns nothing."""
        import asyncio

        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        self._on_change = lambda: _set_in(loop, changed)
        sequence = 0
        try:
            while True:
                while not self._has_room():
                    await changed.wait()
                    changed.clear()
                try:
                    value = await generator.__anext__()
                except StopAsyncIteration:
                    return
                if sequence >= self._skip:
                    self._pass(sequence, await encode(sequence, value))
                sequence += 1
        finally:
            await generator.aclose()

    def _await_room(self) -> None:
        with self._changed:
            while not self._has_room():
                self._changed.wait()

    def _has_room(self) -> bool:
        with self._changed:
            if self._is_cancelled:
                from asyncio import CancelledError

                raise CancelledError("the call was cancelled")
            count = len(self._ahead)
            return count == 0 or (count < _AHEAD_VALUES_MAX and sum(self._ahead) < _AHEAD_BYTES_MAX)

    def _pass(self, sequence: int, encoded: Encoded) -> None:
        # Counted before it is sent: its reader may be fast.
        with self._changed:
            self._ahead.append(encoded.size)
        self._send(sequence, encoded.payload)


def check_way_to_call(given: Any, stream: Optional[ValueStream]) -> None:
    """Raises TypeError unless what a function gave is what its caller reads."""
    is_generator = inspect.isgenerator(given) or inspect.isasyncgen(given)
    if is_generator and stream is None:
        raise TypeError("the function is a generator: call it with remoteGen")
    if stream is not None and not is_generator:
        raise TypeError("the function is no generator: call it with remote, not remoteGen")


def _set_in(loop: "asyncio.AbstractEventLoop", changed: "asyncio.Event") -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(changed.set)
