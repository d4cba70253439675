"""The runner's end of the channel: frames over the socket that is standard input.

Writing blocks until the agent has taken the bytes, so that what was sent before the process
ends is out. Any thread may send; one reads.
"""

import os
import socket
import threading
from typing import Iterator, List, Optional, Sequence, Tuple

from .frames import Bytes, FrameDecoder, Header, encode_frame

_CHUNK_BYTES_MIN = 64 * 1024
_CHUNK_BYTES_MAX = 4 * 1024 * 1024
# Longest wait for a full socket when the process is about to end.
_LAST_WRITE_SECONDS_MAX = 2.0


class Channel:
    """A connected stream of frames."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._decoder = FrameDecoder()
        self._lock = threading.Lock()

    def send(self, header: Header, bodies: Sequence[Bytes] = ()) -> None:
        """Sends one frame; raises OSError when the agent has gone."""
        data = encode_frame(header, bodies)
        with self._lock:
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
            return self._socket.recv(wanted)
        except ConnectionError:
            return b""


def channel_of_stdin() -> Channel:
    """Takes the socket from standard input, which is empty from then on.

    What the user's code starts inherits standard input, and must not get at the channel.
    """
    connection = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return Channel(connection)
