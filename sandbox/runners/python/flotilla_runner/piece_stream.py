"""One end of a stream of pieces to the server, as ``sandbox/streams/piece-stream.ts`` has it.

Threads read and write and are held back as the other side wants; the thread that reads the
channel brings what comes.
"""

import threading
from collections import deque
from typing import Any, Callable, Deque, Dict, Optional

from .frames import Bytes

WINDOW_BYTES = 256 * 1024
PIECE_BYTES_MAX = 64 * 1024
# Credit is told in handfuls.
_CREDIT_BYTES_MIN = WINDOW_BYTES // 4
_MESSAGE_CHARACTERS_MAX = 500

Piece = Dict[str, Any]


class StreamResetError(ConnectionError):
    """The other side gave the stream up."""


class PieceStream:
    """Bytes both ways, with back-pressure."""

    def __init__(self, send: Callable[[Piece, Bytes], None]) -> None:
        self.send = send
        self._changed = threading.Condition()
        self._credit = WINDOW_BYTES
        self._unread: Deque[bytes] = deque()
        self._untold_bytes = 0
        self._has_end = False
        self._is_ended = False
        self._lost: Optional[str] = None
        self._wants_input = True

    @property
    def is_lost(self) -> bool:
        """Whether the other side has gone."""
        return self._lost is not None

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes and goes."""
        return self.is_lost or (self._has_end and self._is_ended)

    def hear(self, piece: Piece, body: bytes) -> None:
        """Takes a piece that the other side sent; never waits."""
        kind = piece["kind"]
        with self._changed:
            if kind == "data" and not self._has_end and self._wants_input:
                self._unread.append(body)
            elif kind == "end":
                self._has_end = True
            elif kind == "credit":
                self._credit += piece["bytes"]
            elif kind == "reset":
                self._lost = str(piece.get("message", "closed"))
            self._changed.notify_all()
        if kind == "data" and not self._wants_input:
            self._took(len(body))

    def read(self) -> bytes:
        """What came next; empty at the end. Raises StreamResetError when it will not come."""
        with self._changed:
            while not self._unread and not self._has_end and self._lost is None:
                self._changed.wait()
            data = self._unread.popleft() if self._unread else b""
            if not data and not self._has_end:
                raise StreamResetError(self._lost or "closed")
        self._took(len(data))
        return data

    def write(self, data: Bytes) -> None:
        """Sends all of it, as fast as it is taken. Raises StreamResetError when nobody takes it."""
        rest = memoryview(data).cast("B")
        while len(rest) > 0:
            with self._changed:
                while self._credit <= 0 and self._lost is None:
                    self._changed.wait()
                if self._lost is not None:
                    raise StreamResetError(self._lost)
                size = min(len(rest), self._credit, PIECE_BYTES_MAX)
                self._credit -= size
            self.send({"kind": "data"}, rest[:size])
            rest = rest[size:]

    def end(self) -> None:
        """Nothing more comes from here."""
        self._is_ended = True
        if self._lost is None:
            self.send({"kind": "end"}, b"")

    def drop_input(self) -> None:
        """What still comes is not wanted."""
        with self._changed:
            self._wants_input = False
            waiting = sum(len(each) for each in self._unread)
            self._unread.clear()
        self._took(waiting)

    def reset(self, message: str) -> None:
        """Gives it up, unless both sides have ended it."""
        with self._changed:
            is_over = self.is_over
            self._lost = self._lost or message
            self._changed.notify_all()
        if not is_over:
            self.send({"kind": "reset", "message": message[:_MESSAGE_CHARACTERS_MAX]}, b"")

    def _took(self, count: int) -> None:
        with self._changed:
            self._untold_bytes += count
            if self._has_end or self._lost is not None or self._untold_bytes < _CREDIT_BYTES_MIN:
                return
            told, self._untold_bytes = self._untold_bytes, 0
        self.send({"kind": "credit", "bytes": told}, b"")
