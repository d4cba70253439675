"""What the code of a web endpoint gets and gives: a request, and a response."""

import asyncio
import json
from typing import Any, AsyncIterator, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union
from urllib.parse import parse_qs, unquote, urlsplit

from .piece_stream import PieceStream

HeaderPairs = List[Tuple[str, str]]
Headers = Union[Mapping[str, str], Iterable[Tuple[str, str]]]


class RequestHeaders(Mapping[str, str]):
    """Headers by name, whatever its case; of several with one name the values with commas."""

    def __init__(self, pairs: Iterable[Iterable[str]]) -> None:
        self.pairs: HeaderPairs = [(name, value) for name, value in pairs]
        self._values: Dict[str, List[str]] = {}
        for name, value in self.pairs:
            self._values.setdefault(name.lower(), []).append(value)

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[name.lower()])

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Request:
    """An HTTP request. Its body is read whole or in pieces, once."""

    def __init__(self, sent: Mapping[str, Any], stream: PieceStream) -> None:
        self.method: str = sent["method"]
        # Absolute, as the function is to see it: without the prefix of its app.
        self.url: str = sent["url"]
        parts = urlsplit(self.url)
        self.path: str = unquote(parts.path)
        # All values of each name.
        self.query: Dict[str, List[str]] = parse_qs(parts.query, keep_blank_values=True)
        self.headers = RequestHeaders(sent["headers"])
        self._stream = stream
        self._body: Optional[bytes] = None if sent.get("streamsBody") else _bytes_of(sent.get("body"))

    @property
    def is_gone(self) -> bool:
        """Whether the client has gone: what is given now reaches nobody."""
        return self._stream.is_lost

    def read(self) -> bytes:
        """The whole body; waits for it."""
        if self._body is None:
            self._body = b"".join(iter(self._stream.read, b""))
        return self._body

    async def read_async(self) -> bytes:
        """The same, for coroutines: others go on meanwhile."""
        if self._body is not None:
            return self._body
        return await asyncio.get_running_loop().run_in_executor(None, self.read)

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes, without keeping it."""
        if self._body is not None:
            if self._body:
                yield self._body
            return
        yield from iter(self._stream.read, b"")

    async def chunks_async(self) -> AsyncIterator[bytes]:
        """The same, for coroutines."""
        if self._body is not None:
            if self._body:
                yield self._body
            return
        loop = asyncio.get_running_loop()
        while True:
            data = await loop.run_in_executor(None, self._stream.read)
            if not data:
                return
            yield data

    def text(self) -> str:
        """The body as text of UTF-8."""
        return self.read().decode()

    def json(self) -> Any:
        """The body as JSON. Raises ValueError when it is none."""
        return json.loads(self.read())


class Response:
    """An HTTP response: ``body`` is what an endpoint may give by itself, or a generator of it."""

    def __init__(self, body: Any = None, status: int = 200, headers: Headers = ()) -> None:
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(f"a status is a number from 200 to 599, not {status!r}")
        self.body = body
        self.status = status
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        self.headers: HeaderPairs = [(_header(name), _header(value)) for name, value in pairs]


def _header(text: Any) -> str:
    if not isinstance(text, str) or any(each in text for each in "\r\n\0"):
        raise ValueError(f"a header is text without line ends, not {text!r}")
    return text


def _bytes_of(body: Any) -> bytes:
    return b"" if body is None else bytes(memoryview(body))
