"""The container's way to the hosts that it may reach, for programs that know proxies.

An HTTP and SOCKS5 proxy on the container's own loopback, which is a bridge to the socket of the
agent's. Its threads work while user code waits, as in `subprocess.run(["curl", ...])`.
"""

import os
import socket
import threading
from typing import Optional

# Given by the agent to a container that may reach something; nothing of it is secret.
_SOCKET = os.environ.get("FLOTILLA_EGRESS")
_PIECE_BYTES = 65_536


def open_way_out(path: Optional[str] = _SOCKET) -> None:
    """Opens the way out, if this container has one; a user's own proxy variables stay."""
    if path is None:
        return
    server = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_serve, args=(server, path), daemon=True).start()
    port = server.getsockname()[1]
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        os.environ.setdefault(name, f"http://127.0.0.1:{port}")
    for name in ("ALL_PROXY", "all_proxy"):
        os.environ.setdefault(name, f"socks5h://127.0.0.1:{port}")
    for name in ("NO_PROXY", "no_proxy"):
        os.environ.setdefault(name, "localhost,127.0.0.1,::1")


def _serve(server: socket.socket, path: str) -> None:
    while True:
        near, _ = server.accept()
        far = socket.socket(socket.AF_UNIX)
        try:
            far.connect(path)
        except OSError:
            near.close()
            far.close()
            continue
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while piece := source.recv(_PIECE_BYTES):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # One end is gone; the other is told.
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
