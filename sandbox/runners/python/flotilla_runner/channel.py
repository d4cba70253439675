"""The runner's end of the channel: frames over the socket that is standard input.

Writing blocks until the agent has taken the bytes, so that what was sent before the process
ends is out. Any thread may send; one reads.

A process that an older gVisor restored from an image is never told that a socket it had can be
read or written; doing so works. There the channel is looked at by the clock: often while much
comes, seldom when nothing has come for long.
"""

import os
import socket
import threading
import time
from typing import Iterator, List, Optional, Sequence, Tuple

from .frames import Bytes, FrameDecoder, Header, encode_frame

_CHUNK_BYTES_MIN = 64 * 1024
_CHUNK_BYTES_MAX = 4 * 1024 * 1024
# Longest wait for a full socket when the process is about to end.
_LAST_WRITE_SECONDS_MAX = 2.0
# How often the channel is looked at, by how long nothing has come.
_LOOKS = ((0.05, 0.001), (2.0, 0.004), (float("inf"), 0.02))
# How long a full socket is left alone where nobody tells that it is full no more.
_RETRY_SECONDS = 0.001


class Channel:
    """A connected stream of frames."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._decoder = FrameDecoder()
        self._lock = threading.Lock()
        self._looks = False
        self._came_at = 0.0

    def look(self) -> None:
        """Goes by the clock from now on, as a process must that is not told of what comes."""
        self._looks = True
        self._came_at = time.monotonic()

    def listen(self) -> None:
        """Is told again of what comes."""
        self._looks = False

    @property
    def look_seconds(self) -> Optional[float]:
        """How long to wait before the next look; None where one is told."""
        if not self._looks:
            return None
        quiet = time.monotonic() - self._came_at
        return next(pause for longest, pause in _LOOKS if quiet < longest)

    def send(self, header: Header, bodies: Sequence[Bytes] = ()) -> None:
        """Sends one frame; raises OSError when the agent has gone."""
        data = encode_frame(header, bodies)
        with self._lock:
            if self._looks:
                self._send_by_the_clock(memoryview(data))
            else:
                self._socket.sendall(data)

    def send_last(self, header: Header) -> None:
        """Sends one frame if the agent takes it soon; for a process that is about to end."""
        data = encode_frame(header)
        if not self._lock.acquire(timeout=_LAST_WRITE_SECONDS_MAX):
            return
        try:
            self._socket.settimeout(_LAST_WRITE_SECONDS_MAX)
            self._socket.sendall(data)
        except OSError:
            # Nobody is there to be told.
            pass
        finally:
            self._lock.release()

    def close(self) -> None:
        """Closes this process's descriptor; the channel lives while another has one."""
        self._socket.close()

    def fileno(self) -> int:
        """The descriptor, for ``select``."""
        return self._socket.fileno()

    def frames_now(self) -> Optional[List[Tuple[Header, bytes]]]:
        """The frames that one read completes; None at the end. Blocks unless ``select`` says."""
        chunk = self._read()
        return None if chunk == b"" else self._decoder.push(chunk)

    def frames(self) -> Iterator[Tuple[Header, bytes]]:
        """The frames that come, until the agent ends the channel."""
        while True:
            chunk = self._read()
            if chunk == b"":
                return
            yield from self._decoder.push(chunk)

    def _read(self) -> bytes:
        wanted = min(max(self._decoder.missing_bytes, _CHUNK_BYTES_MIN), _CHUNK_BYTES_MAX)
        try:
            return self._read_by_the_clock(wanted) if self._looks else self._socket.recv(wanted)
        except ConnectionError:
            return b""

    def _read_by_the_clock(self, wanted: int) -> bytes:
        while True:
            pause = self.look_seconds or 0.0
            try:
                chunk = self._socket.recv(wanted, socket.MSG_DONTWAIT)
            except BlockingIOError:
                time.sleep(pause)
                continue
            self._came_at = time.monotonic()
            return chunk

    def _send_by_the_clock(self, data: memoryview) -> None:
        while data:
            try:
                data = data[self._socket.send(data, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                time.sleep(_RETRY_SECONDS)


def channel_of_stdin() -> Channel:
    """Takes the socket from standard input, which is empty from then on.

    What the user's code starts inherits standard input, and must not get at the channel.
    """
    connection = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return Channel(connection)
