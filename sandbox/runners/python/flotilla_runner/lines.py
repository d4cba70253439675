"""Lines on their way: gathered for a moment, and sent by whoever first has need of it."""

import threading
import time
from typing import Callable, Optional

from .channel import Channel
from .output import Output

# Lines wait this long for others before they are sent.
_GATHER_SECONDS = 0.005


class Lines:
    """Sends what the user's code prints. Any thread may call."""

    def __init__(self, channel: Channel, owner: Callable[[], Optional[str]]) -> None:
        self.output = Output(self._came, owner)
        # No thread sends lines while the code is loaded that others are to be forked from.
        self.may_start_thread = True
        self._channel = channel
        self._wait = threading.Event()
        self._lock = threading.Lock()
        self._thread: Optional[threading.Thread] = None

    def send(self, everything: bool) -> None:
        """Sends what is there, unfinished lines too if ``everything``."""
        # Whoever takes lines sends them before anybody sends the result that they go before.
        with self._lock:
            batch = self.output.take(everything)
            if batch is not None:
                self._channel.send({"type": "logs", **batch})

    def end_thread(self) -> None:
        """No thread runs in a process that others are to be copies of."""
        self.may_start_thread = False
        if self._thread is not None:
            self._wait.set()
            self._thread.join()
            self._thread = None

    def _came(self) -> None:
        self._wait.set()
        if self._thread is None and self.may_start_thread:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._send_forever, name="flotilla-lines", daemon=True
                    )
                    self._thread.start()

    def _send_forever(self) -> None:
        while self.may_start_thread:
            self._wait.wait()
            time.sleep(_GATHER_SECONDS)
            self._wait.clear()
            self.send(False)
