"""Requests to an HTTP server inside the container, WebSockets included."""

import socket
import threading
import time
from http.client import HTTPResponse
from typing import Any, Callable, Dict, Iterator, List, Mapping, Tuple
from urllib.parse import urlsplit

from .piece_stream import PieceStream

HOST = "127.0.0.1"
_RETRY_SECONDS = 0.025
_READ_BYTES = 64 * 1024

Respond = Callable[[int, List[Tuple[str, str]], Iterator[bytes]], Dict[str, Any]]


def await_port(port: int, has_failed: Callable[[], bool]) -> bool:
    """Waits until something listens on the port; False when it has failed before."""
    while not has_failed():
        try:
            socket.create_connection((HOST, port), timeout=1).close()
            return True
        except OSError:
            time.sleep(_RETRY_SECONDS)
    return False


def forward(
    sent: Mapping[str, Any], port: int, stream: PieceStream, respond: Respond
) -> Dict[str, Any]:
    """Sends a request to the server on a port, and its response to the client.

    Raises OSError when the server cannot be reached or breaks off.
    """
    connection = socket.create_connection((HOST, port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        is_chunked = bool(sent.get("streamsBody")) and not _has(sent, "content-length")
        connection.sendall(_head_of(sent, is_chunked))
        # A server may answer before it has read everything: its response goes on then.
        sender = threading.Thread(
            target=_send_body, args=(connection, sent, stream, is_chunked), daemon=True
        )
        sender.start()
        response = HTTPResponse(connection, method=sent["method"])
        response.begin()
        headers = [(name, value) for name, value in response.getheaders()]
        if response.status == 101:
            return respond(101, headers, _raw(response))
        return respond(response.status, headers, _body(response))
    finally:
        # Shut first: a thread may be within it.
        _shut(connection)
        connection.close()


def _head_of(sent: Mapping[str, Any], is_chunked: bool) -> bytes:
    parts = urlsplit(sent["url"])
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{sent['method']} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in sent["headers"]]
    if is_chunked:
        lines.append("Transfer-Encoding: chunked")
    body = sent.get("body")
    if body is not None and not _has(sent, "content-length"):
        lines.append(f"Content-Length: {len(memoryview(body).cast('B'))}")
    if not sent.get("upgrades"):
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _has(sent: Mapping[str, Any], name: str) -> bool:
    return any(each.lower() == name for each, _ in sent["headers"])


def _send_body(
    connection: socket.socket, sent: Mapping[str, Any], stream: PieceStream, is_chunked: bool
) -> None:
    try:
        body = sent.get("body")
        if body is not None:
            connection.sendall(memoryview(body).cast("B"))
        elif sent.get("streamsBody") or sent.get("upgrades"):
            for data in iter(stream.read, b""):
                if is_chunked:
                    data = b"%x\r\n%b\r\n" % (len(data), data)
                connection.sendall(data)
            if is_chunked:
                connection.sendall(b"0\r\n\r\n")
            if sent.get("upgrades"):
                connection.shutdown(socket.SHUT_WR)
    except OSError:
        # The client has gone, or the server has what it wanted: its answer says the rest.
        if stream.is_lost:
            _shut(connection)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The server was first.
        return


def _body(response: HTTPResponse) -> Iterator[bytes]:
    while True:
        data = response.read1(_READ_BYTES)
        if not data:
            if response.length:
                raise ConnectionError("the server broke off its response")
            return
        yield data


def _raw(response: HTTPResponse) -> Iterator[bytes]:
    """What comes after the head, of whatever protocol."""
    reader: Any = response.fp
    while True:
        data = reader.read1(_READ_BYTES)
        if not data:
            return
        yield data
