"""The inputs that run now: whose code the present code is, and how the time is shared.

When several run at once a context variable follows each, so that a line or an exit is laid to
the one that caused it. Of ``n`` that run at once each gets a ``1/n`` of the time.
"""

import threading
import time
from contextvars import ContextVar
from typing import Dict, Optional, Set


class RunningInput:
    """One input while it runs."""

    __slots__ = ("began_ms", "input_id", "shared_before_ms")

    def __init__(self, input_id: str, began_ms: float, shared_before_ms: float) -> None:
        self.input_id = input_id
        self.began_ms = began_ms
        self.shared_before_ms = shared_before_ms


_own: "ContextVar[Optional[RunningInput]]" = ContextVar("flotilla_input", default=None)


class RunningInputs:
    """Counts what runs; any thread may call."""

    def __init__(self) -> None:
        self.max = 1
        self._changed = threading.Condition(threading.Lock())
        self._running: Dict[str, RunningInput] = {}
        self._only: Optional[str] = None
        self._shared_ms = 0.0
        self._counted_ms = 0.0

    @property
    def present(self) -> Optional[str]:
        """The input whose code runs at this moment; None when it is nobody's, or has ended."""
        if self.max == 1:
            return self._only
        own = _own.get()
        return own.input_id if own is not None and own.input_id in self._running else None

    def begin(self, input_id: str) -> RunningInput:
        """What runs from here on, in this context, is this input's."""
        with self._changed:
            running = RunningInput(input_id, self._count(), self._shared_ms)
            self._running[input_id] = running
            self._only = input_id
        _own.set(running)
        return running

    def end(self, running: RunningInput) -> Dict[str, float]:
        """Its times: how long it ran, and its share when others ran with it."""
        with self._changed:
            now_ms = self._count()
            self._running.pop(running.input_id, None)
            self._only = None
            self._changed.notify_all()
            times = {"runMs": now_ms - running.began_ms}
            if self.max > 1:
                times["busyMs"] = self._shared_ms - running.shared_before_ms
            return times

    def await_end(self, input_ids: Optional[Set[str]], seconds: float) -> None:
        """Waits until none of these runs, or none at all, but no longer than that."""
        with self._changed:
            self._changed.wait_for(
                lambda: not (self._running if input_ids is None else self._running.keys() & input_ids),
                seconds,
            )

    def _count(self) -> float:
        now_ms = time.perf_counter() * 1_000
        if self._running:
            self._shared_ms += (now_ms - self._counted_ms) / len(self._running)
        self._counted_ms = now_ms
        return now_ms
