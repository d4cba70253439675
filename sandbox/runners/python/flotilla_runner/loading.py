"""A user's code: unpacked, imported, and the function found in it."""

import importlib
import inspect
import os
import sys
from types import ModuleType
from typing import Any, Callable, Dict, NamedTuple

from .frames import FrameDecoder, split_body
from .hooks import SNAPSHOT, run_hooks
from .wire_error import name_files_from

_NAMES_SHOWN_MAX = 20


class LoadError(Exception):
    """The code has no such function, or is no code."""


class Loaded(NamedTuple):
    """The function to call, and the object it is a method of where it is one."""

    handler: Callable[..., Any]
    instance: Any

    @property
    def is_async(self) -> bool:
        return _is_async(self.handler) or _is_async(getattr(self.handler, "__call__", None))


def load(archive: bytes, module: str, handler: str, env: Dict[str, str], into: str) -> Loaded:
    """Unpacks the archive into ``into``, imports the module and runs its snapshot hooks."""
    unpack(archive, into)
    name_files_from(into)
    paths = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:0] = [into, *paths]
    importlib.invalidate_caches()
    loaded = _find(_import(module), handler)
    run_hooks(SNAPSHOT, loaded.instance)
    return loaded


def unpack(archive: bytes, into: str) -> None:
    """Writes the files of an archive: one frame, whose header lists them in order."""
    frames = FrameDecoder().push(archive)
    if len(frames) != 1:
        raise LoadError("the code is no archive of Python files")
    header, body = frames[0]
    files = header.get("files", [])
    root = os.path.realpath(into)
    for file, data in zip(files, split_body(body, [file["bytes"] for file in files])):
        path = os.path.normpath(os.path.join(root, file["path"]))
        if not path.startswith(root + os.sep):
            raise LoadError(f"the code has a file {file['path']!r} outside its folder")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(data)


def _is_async(called: Any) -> bool:
    return inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called)


def _import(name: str) -> ModuleType:
    try:
        # By the statement's own way in: its traceback has the user's lines only.
        __import__(name)
        return sys.modules[name]
    except ModuleNotFoundError as error:
        if error.name is None or name.startswith(error.name):
            raise
        error.msg = (
            f"{error.msg}: if it is a file of yours, give its folder as `source`; "
            "if it is a package, it must be in the function's image"
        )
        raise


def _find(module: ModuleType, handler: str) -> Loaded:
    first, _, method = handler.partition(".")
    found = _member(module, first, f"module {module.__name__}")
    if method == "":
        if inspect.isclass(found):
            raise LoadError(f"{first} is a class: name its method, as in {first}.predict")
        return Loaded(_callable(found, handler), None)
    if not inspect.isclass(found):
        return Loaded(_callable(_member(found, method, first), handler), found)
    _member(found, method, f"class {first}")
    instance = found()
    return Loaded(_callable(getattr(instance, method), handler), instance)


def _member(owner: Any, name: str, what: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError:
        pass
    names = [each for each in dir(owner) if not each.startswith("_") and _is_own(owner, each)]
    import difflib

    near = difflib.get_close_matches(name, names, 1)
    hint = f'; did you mean "{near[0]}"?' if near else ""
    there = ", ".join(names[:_NAMES_SHOWN_MAX]) or "nothing public"
    raise LoadError(f'{what} has no "{name}"{hint} (it has: {there})')


def _is_own(owner: Any, name: str) -> bool:
    value = getattr(owner, name, None)
    if not isinstance(owner, ModuleType):
        return callable(value)
    return callable(value) and getattr(value, "__module__", None) == owner.__name__


def _callable(found: Any, handler: str) -> Callable[..., Any]:
    if callable(found):
        return found  # type: ignore[no-any-return]
    raise LoadError(f"{handler} is a {type(found).__name__}, not a function")
