"""Inputs that wait, in the order in which they came."""

import threading
from collections import deque
from typing import Any, Callable, Deque, Iterable, List, NamedTuple, Optional, Set


class Waiting(NamedTuple):
    """One input: its id and its payload."""

    input_id: str
    payload: memoryview
    # Of a request over HTTP: what is to become of its response; None for other inputs.
    web: Any = None
    came: float = 0.0
    # Of a generator: how many of its values are with the reader; None where no value is read.
    skip: Optional[int] = None


class InputQueue:
    """A queue from the reading thread to those that work."""

    def __init__(self) -> None:
        self._waiting: Deque[Waiting] = deque()
        self._changed = threading.Condition()
        # Called from the reading thread when something came.
        self.on_put: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def has_generator(self) -> bool:
        """Whether the values of one that waits are to be read."""
        return any(each.skip is not None for each in self._waiting)

    def put(self, inputs: Iterable[Waiting]) -> None:
        with self._changed:
            self._waiting.extend(inputs)
            self._changed.notify_all()
        self.on_put()

    def take(self) -> Waiting:
        """The next one, as soon as there is one."""
        with self._changed:
            while not self._waiting:
                self._changed.wait()
            return self._waiting.popleft()

    def take_now(self) -> Optional[Waiting]:
        """The next one, if there is one."""
        with self._changed:
            return self._waiting.popleft() if self._waiting else None

    def clear(self) -> None:
        """Forgets those that have not begun."""
        with self._changed:
            self._waiting.clear()

    def remove(self, input_ids: Set[str]) -> List[str]:
        """Takes out those that have not begun; gives their ids, the latest first."""
        with self._changed:
            removed = [each for each in self._waiting if each.input_id in input_ids]
            self._waiting = deque(each for each in self._waiting if each not in removed)
        return [each.input_id for each in reversed(removed)]
