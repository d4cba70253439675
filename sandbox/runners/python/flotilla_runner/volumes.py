"""Volumes from inside a container: its node agent commits and reloads them."""

import json
import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .large_values import Requests

_VOLUMES = "/v1/container/volumes"
# Open files that are named in an error.
_NAMED_MAX = 10

_requests: Optional[Requests] = None


def ask_through(requests: Optional[Requests]) -> None:
    """Has this process ask its agent so from now on; None while nobody reads what it answers."""
    global _requests
    _requests = requests


class VolumeError(Exception):
    """A volume could not be committed or reloaded; ``code`` says why, as in docs/errors."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class Commit(NamedTuple):
    """What came of a commit."""

    version: int
    # Paths of files that others had changed in the meantime.
    overwritten: Tuple[str, ...]
    # Paths of what no volume keeps, such as sockets.
    skipped: Tuple[str, ...]


class Volume:
    """A volume that this container's function has; made by ``flotilla.volume``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"flotilla.volume({self.name!r})"

    @property
    def path(self) -> str:
        """The folder where this container has it."""
        for volume in self._ask("GET", "")["volumes"]:
            if volume["name"] == self.name:
                return str(volume["path"])
        raise VolumeError(f"this container has no volume {self.name}", "not_found")

    def commit(self) -> Commit:
        """Makes what this container changed the next version, all of it or nothing."""
        report = self._ask("POST", f"/{self.name}/commit")
        return Commit(report["version"], tuple(report["overwritten"]), tuple(report["skipped"]))

    def reload(self) -> int:
        """Commits, and brings what others committed; gives the version that is seen now.

        Raises ``VolumeError`` while a program of this container has a file of it open.
        """
        opened = _open_files(self.path)
        if opened:
            raise VolumeError(
                f"volume {self.name} cannot be reloaded while files of it are open: "
                f"{', '.join(opened[:_NAMED_MAX])}; close them, and reload again",
                "conflict",
            )
        return int(self._ask("POST", f"/{self.name}/reload")["version"])

    def _ask(self, method: str, path: str) -> Dict[str, Any]:
        if _requests is None:
            raise VolumeError(
                f"volume {self.name} can be committed and reloaded while an input runs, not while "
                "the code is loaded or in hooks; what is changed then is committed by itself",
                "usage",
            )
        answer = _requests.wait(_requests.begin(method, _VOLUMES + path))
        said = _json_of(answer.body)
        if 200 <= answer.status < 300:
            return said
        message = said.get("detail") or said.get("title") or f"status {answer.status}"
        raise VolumeError(str(message), str(said.get("code", "unavailable")))


def _json_of(body: bytes) -> Dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _open_files(folder: str) -> List[str]:
    """Files below a folder that programs of this container have open."""
    opened = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            numbers = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            # It has ended.
            continue
        for number in numbers:
            try:
                target = os.readlink(f"/proc/{pid}/fd/{number}")
            except OSError:
                # It was closed.
                continue
            if target.startswith(folder + "/"):
                opened.add(target)
    return sorted(opened)
