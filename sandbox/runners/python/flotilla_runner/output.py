"""What the user's code prints: cut into lines, told apart by input, bounded in memory."""

import codecs
import io
import sys
import threading
from typing import Any, Callable, Dict, List, Optional, Tuple

# Longest line; longer ones are cut.
LINE_CHARACTERS_MAX = 16 * 1024
# Bytes of unsent lines kept; what is printed beyond is counted and dropped.
HELD_BYTES_MAX = 1024 * 1024

Owner = Optional[str]
Line = Dict[str, str]


class _Partial:
    def __init__(self) -> None:
        self.text = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")


class Output:
    """Lines that wait to be sent. Any thread may write."""

    def __init__(self, on_line: Callable[[], None], owner: Callable[[], Owner]) -> None:
        self._on_line = on_line
        self._owner = owner
        self._lock = threading.Lock()
        self._originals: Dict[str, Any] = {}
        self._partials: Dict[Tuple[Owner, str], _Partial] = {}
        self._lines: List[Line] = []
        self._held_bytes = 0
        self._dropped_bytes = 0

    def capture(self) -> None:
        """Takes the place of ``sys.stdout`` and ``sys.stderr``."""
        for name in ("stdout", "stderr"):
            self._originals[name] = getattr(sys, name)
            raw = _Stream(self, name, self._originals[name])
            # Unbuffered, as with `python3 -u`: lines must be here before their result leaves.
            text = io.TextIOWrapper(raw, "utf-8", "replace", write_through=True)  # type: ignore
            _replace(name, text)

    def release(self) -> None:
        """Gives ``sys.stdout`` and ``sys.stderr`` back what they were."""
        for name, original in self._originals.items():
            _replace(name, original)

    def write(self, stream: str, data: bytes) -> None:
        """Takes what was printed; owned by the input whose code runs now."""
        owner = self._owner()
        with self._lock:
            if self._held_bytes > HELD_BYTES_MAX:
                self._dropped_bytes += len(data)
                return
            partial = self._partials.setdefault((owner, stream), _Partial())
            *whole, rest = (partial.text + partial.decoder.decode(data)).split("\n")
            partial.text = rest[:LINE_CHARACTERS_MAX]
            for text in whole:
                self._push(stream, text, owner)
        if whole:
            self._on_line()

    def finish(self, owner: Owner) -> None:
        """An input ended: the line that it did not finish ends with it."""
        with self._lock:
            for stream in ("stdout", "stderr"):
                partial = self._partials.pop((owner, stream), None)
                if partial is not None and partial.text != "":
                    self._push(stream, partial.text, owner)

    def take(self, everything: bool) -> Optional[Dict[str, Any]]:
        """The lines so far, unfinished ones too if ``everything``; they are forgotten here."""
        if everything:
            for owner, _ in list(self._partials):
                self.finish(owner)
        with self._lock:
            if not self._lines and self._dropped_bytes == 0:
                return None
            batch = {"lines": self._lines, "droppedBytes": self._dropped_bytes}
            self._lines = []
            self._held_bytes = 0
            self._dropped_bytes = 0
            return batch

    def _push(self, stream: str, text: str, owner: Owner) -> None:
        line = {"stream": stream, "text": text[:LINE_CHARACTERS_MAX]}
        if owner is not None:
            line["inputId"] = owner
        self._lines.append(line)
        self._held_bytes += len(line["text"]) + 32


def _replace(name: str, stream: Any) -> None:
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)


class _Stream(io.RawIOBase):
    """Standard output or error as bytes; its descriptor stays that of the process."""

    def __init__(self, output: Output, name: str, original: Any) -> None:
        super().__init__()
        self._output = output
        self._name = name
        self._original = original

    @property
    def name(self) -> str:
        return f"<{self._name}>"

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._output.write(self._name, bytes(data))
        return len(data)

    def fileno(self) -> int:
        descriptor: int = self._original.fileno()
        return descriptor
