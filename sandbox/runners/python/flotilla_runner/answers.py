"""Results on their way: gathered while inputs come fast, and never before their lines."""

import threading
import time
from typing import Any, Callable, Dict, List

from .channel import Channel

# Answers wait for others at most this long while inputs come fast.
GATHER_SECONDS = 0.002

Result = Dict[str, Any]


class Answers:
    """Results that wait to be sent. Any thread may push."""

    def __init__(self, channel: Channel, send_lines: Callable[[], None]) -> None:
        self._channel = channel
        self._send_lines = send_lines
        self._lock = threading.Lock()
        self._results: List[Result] = []
        self._payloads: List[bytes] = []
        self._flushed_at = 0.0

    def push(self, result: Result, payload: bytes = b"") -> None:
        with self._lock:
            self._results.append(result)
            if payload:
                self._payloads.append(payload)

    def flush_unless_more(self, more_wait: bool) -> None:
        """Sends them unless others will follow at once."""
        if not more_wait or time.monotonic() - self._flushed_at > GATHER_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Sends what was printed before these results came, then the results."""
        self._flushed_at = time.monotonic()
        with self._lock:
            results, payloads = self._results, self._payloads
            self._results, self._payloads = [], []
        self._send_lines()
        if results:
            self._channel.send({"type": "results", "results": results}, payloads)
