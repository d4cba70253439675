"""The bridge to the agent's proxy: both directions, and the variables that name it."""

import os
import socket
import tempfile
import threading
import unittest
from unittest import mock

from flotilla_runner.way_out import open_way_out


def _echo(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        data = b""
        while piece := connection.recv(65_536):
            data += piece
        connection.sendall(b"echo " + data)


class WayOut(unittest.TestCase):
    def test_without_a_socket_nothing_is_set(self) -> None:
        with mock.patch.dict(os.environ, {}, clear=True):
            open_way_out(None)
            self.assertEqual(dict(os.environ), {})

    def test_bytes_pass_both_ways_and_a_users_own_variable_stays(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s")
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(path)
                server.listen()
                threading.Thread(target=_echo, args=(server,), daemon=True).start()
                with mock.patch.dict(os.environ, {"NO_PROXY": "mine"}, clear=True):
                    open_way_out(path)
                    self.assertEqual(os.environ["NO_PROXY"], "mine")
                    proxy = os.environ["http_proxy"]
                port = int(proxy.rpartition(":")[2])
                with socket.create_connection(("127.0.0.1", port)) as near:
                    near.sendall(b"x" * 200_000)
                    near.shutdown(socket.SHUT_WR)
                    data = b""
                    while piece := near.recv(65_536):
                        data += piece
                self.assertEqual(data, b"echo " + b"x" * 200_000)
