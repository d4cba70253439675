"""What stands in the way of an image of this process's memory."""

import _thread
import os
import socket
import sys
import threading
from typing import List, Optional

from .reseed import generator_obstacle

_STANDARD_FDS = 3
_NAMES_SHOWN_MAX = 5


def image_obstacle(channel_fd: int) -> Optional[str]:
    """One reason why no image can be made of this process now; None when it can."""
    return _threads() or _children() or _sockets(channel_fd) or generator_obstacle()


def _threads() -> Optional[str]:
    # Those that were started past `threading` are known by the interpreter alone.
    count = max(_thread._count(), len(sys._current_frames()) - 1)
    if count == 0:
        return None
    names = [each.name for each in threading.enumerate() if each is not threading.current_thread()]
    names += ["unnamed"] * (count - len(names))
    shown = ", ".join(names[:_NAMES_SHOWN_MAX])
    return f"{count} thread(s) run ({shown}): start them in @flotilla.enter"


def _children() -> Optional[str]:
    own = str(os.getpid())
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
                # The name, in parentheses, may have spaces and parentheses of its own.
                state, parent = stat.read().rpartition(")")[2].split()[:2]
        except OSError:
            # It has ended.
            continue
        if parent == own and state != "Z":
            return "a child process runs: start it in @flotilla.enter"
    return None


def _sockets(channel_fd: int) -> Optional[str]:
    found: List[int] = []
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd < _STANDARD_FDS or fd == channel_fd:
            continue
        try:
            is_socket = os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
        except OSError:
            # The folder's own listing was among them.
            continue
        if is_socket and not _is_own_pair(fd):
            found.append(fd)
    if not found:
        return None
    return f"{len(found)} socket(s) are open: open them in @flotilla.enter"


def _is_own_pair(fd: int) -> bool:
    """Whether both ends are in this process, as with the pair that wakes an event loop."""
    with socket.socket(fileno=os.dup(fd)) as same:
        if same.family != socket.AF_UNIX:
            return False
        try:
            return not same.getsockname() and not same.getpeername()
        except OSError:
            return False
