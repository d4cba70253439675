"""Inputs that are HTTP requests: answered by the user's code, or by a server in the container.

A response goes to its client as it comes or, when its head comes too late for that, whole into
the result. Which of both is decided here alone, by the time since the input came: after that no
head is sent, so that the server may send its client elsewhere without asking.
"""

import asyncio
import inspect
import json
import threading
import time
from typing import Any, AsyncIterator, Callable, Dict, Iterator, List, Mapping, Optional, Tuple

from .channel import Channel
from .frames import PAYLOAD_BYTES_MAX, Bytes, Header
from .piece_stream import Piece, PieceStream
from .port_forward import forward
from .web_values import HeaderPairs, Request, Response

# What is left of a payload for status and headers.
_KEPT_BODY_BYTES_MAX = PAYLOAD_BYTES_MAX - 256 * 1024
_STATUSES_WITHOUT_BODY = (204, 205, 304)

Result = Dict[str, Any]


class ClientGoneError(ConnectionError):
    """Nobody waits for the answer."""


class WebAnswer:
    """The response of one input."""

    def __init__(self, stream: PieceStream, send: Callable[[Piece, Bytes], None], seconds: float):
        self._stream = stream
        self._send = send
        self._until = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._is_head_sent = False
        self._is_detached = seconds <= 0
        self._timer: Optional[threading.Timer] = None
        if not self._is_detached:
            self._timer = threading.Timer(seconds, self._detach)
            self._timer.daemon = True
            self._timer.start()

    def begin(self, status: int, headers: HeaderPairs) -> bool:
        """Sends the head; False when it is too late, and the response is to be kept."""
        if time.monotonic() >= self._until:
            self._detach()
        with self._lock:
            if self._is_detached:
                return False
            self._is_head_sent = True
            pairs = [list(pair) for pair in headers]
            self._send({"kind": "head", "status": status, "headers": pairs}, b"")
            return True

    def close(self) -> None:
        """The input has ended."""
        if self._timer is not None:
            self._timer.cancel()
        if self._is_detached:
            self._stream.reset("the response is kept")

    def _detach(self) -> None:
        with self._lock:
            if self._is_head_sent or self._is_detached:
                return
            self._is_detached = True
            self._send({"kind": "detached"}, b"")


class WebInputs:
    """The requests of a runner, and their streams."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._streams: Dict[str, PieceStream] = {}

    def hear(self, header: Header, body: bytes) -> None:
        """A piece from the server; one of a stream that is gone is dropped."""
        stream_id = header["streamId"]
        stream = self._streams.get(stream_id)
        if stream is not None:
            stream.hear(header["piece"], body)
            if stream.is_over:
                self._streams.pop(stream_id, None)

    def answer(self, input_id: str, wish: Any, came: float, arguments: Any, handler: Any) -> Result:
        """Answers by a plain function, in this thread."""
        sent = _request_of(arguments)
        with _Exchange(self, input_id, wish, came) as exchange:
            port = sent.get("port")
            if port is not None:
                return forward(sent, int(port), exchange.stream, exchange.respond)
            given = handler(Request(sent, exchange.stream))
            return exchange.respond_with(given, sent["method"])

    async def answer_async(
        self, input_id: str, wish: Any, came: float, arguments: Any, handler: Any
    ) -> Result:
        """Answers by a coroutine; what waits for the client does so in a thread."""
        sent = _request_of(arguments)
        loop = asyncio.get_running_loop()
        with _Exchange(self, input_id, wish, came) as exchange:
            given = handler(Request(sent, exchange.stream))
            if not inspect.isasyncgen(given):
                given = await given
            body = given.body if isinstance(given, Response) else given
            if inspect.isasyncgen(body):
                given = _with_body(given, _in_turn(body, loop))
            return await loop.run_in_executor(
                None, lambda: exchange.respond_with(given, sent["method"])
            )

    def open(self, input_id: str, is_attached: bool) -> PieceStream:
        """The stream of an input that begins to run."""

        def send(piece: Piece, body: Bytes) -> None:
            if is_attached:
                header = {"type": "stream", "streamId": input_id, "piece": piece}
                self._channel.send(header, [body])

        stream = PieceStream(send)
        self._streams[input_id] = stream
        send({"kind": "begin"}, b"")
        return stream

    def close(self, input_id: str) -> None:
        """It is answered; what its client still sends is heard, and dropped."""
        stream = self._streams.get(input_id)
        if stream is not None and stream.is_over:
            self._streams.pop(input_id, None)


class _Exchange:
    """A request while it is answered."""

    def __init__(self, inputs: WebInputs, input_id: str, wish: Any, came: float) -> None:
        if wish == "unwanted":
            raise ClientGoneError("the client went away, or has seen the beginning of another answer")
        self._inputs = inputs
        self._input_id = input_id
        seconds = max(0.0, wish["withinMs"] / 1_000 - (time.monotonic() - came))
        self.stream = inputs.open(input_id, seconds > 0)
        self._answer = WebAnswer(self.stream, self.stream.send, seconds)

    def __enter__(self) -> "_Exchange":
        return self

    def __exit__(self, kind: Any, _error: Any, _trace: Any) -> None:
        if kind is not None:
            self.stream.reset("the endpoint failed")
        self._answer.close()
        self._inputs.close(self._input_id)

    def respond_with(self, given: Any, method: str) -> Result:
        """Sends or keeps what the user's code gave."""
        status, headers, body = _parts_of(given)
        if method == "HEAD" or status in _STATUSES_WITHOUT_BODY:
            _close(body)
            body = iter(())
        return self.respond(status, headers, body)

    def respond(self, status: int, headers: HeaderPairs, body: Iterator[bytes]) -> Result:
        """Sends or keeps a response; gives the result when all of its body is out."""
        result: Result = {"status": status, "headers": [list(pair) for pair in headers]}
        try:
            if not self._answer.begin(status, headers):
                if status == 101:
                    raise TimeoutError("the server took longer to open the connection than its client waits")
                result["body"] = _whole(body)
                return result
            for part in body:
                self.stream.write(part)
        finally:
            _close(body)
        # What the client still sends is not wanted; the server ends the stream.
        self.stream.drop_input()
        self.stream.end()
        return result


def _request_of(arguments: Any) -> Mapping[str, Any]:
    request = arguments[0] if isinstance(arguments, list) and arguments else None
    if isinstance(request, dict) and "url" in request:
        return request
    raise TypeError("the function is a web endpoint: it is called by its URL")


def _parts_of(given: Any) -> Tuple[int, HeaderPairs, Iterator[bytes]]:
    response = given if isinstance(given, Response) else Response(given)
    kind, length, body = _body_of(response.body)
    named = {name.lower() for name, _ in response.headers}
    headers = list(response.headers)
    if kind is not None and "content-type" not in named:
        headers.append(("content-type", kind))
    if length is not None and "content-length" not in named:
        headers.append(("content-length", str(length)))
    is_nothing = response.body is None and not isinstance(given, Response)
    return (204 if is_nothing else response.status), headers, body


def _body_of(value: Any) -> Tuple[Optional[str], Optional[int], Iterator[bytes]]:
    """Its type, its length and its bytes, as far as they are known."""
    if value is None:
        return None, None, iter(())
    if isinstance(value, str):
        data = value.encode()
        return "text/plain;charset=UTF-8", len(data), iter((data,))
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        return "application/octet-stream", len(data), iter((data,))
    if inspect.isgenerator(value) or isinstance(value, _Turns):
        return None, None, _Encoded(value)
    if inspect.isasyncgen(value):
        raise TypeError("only an `async def` endpoint can give an asynchronous generator")
    try:
        data = json.dumps(value).encode()
    except TypeError as error:
        raise TypeError(
            f"an endpoint gives a flotilla.Response, text, bytes, a generator of these, nothing, or "
            f"a value that JSON has: {error}"
        ) from None
    return "application/json", len(data), iter((data,))


class _Encoded:
    """A generator's texts and bytes, as bytes."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def __iter__(self) -> "_Encoded":
        return self

    def __next__(self) -> bytes:
        part = next(self._source)
        if isinstance(part, str):
            return part.encode()
        if isinstance(part, (bytes, bytearray, memoryview)):
            return bytes(part)
        raise TypeError(f"a generator of a response yields text or bytes, not {type(part).__name__}")

    def close(self) -> None:
        self._source.close()


class _Turns:
    """An asynchronous generator for a thread: each step runs in the event loop."""

    def __init__(self, source: AsyncIterator[Any], loop: asyncio.AbstractEventLoop) -> None:
        self._source = source
        self._loop = loop

    def __next__(self) -> Any:
        step = self._source.__anext__()
        try:
            return asyncio.run_coroutine_threadsafe(_awaited(step), self._loop).result()
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        aclose = getattr(self._source, "aclose")
        asyncio.run_coroutine_threadsafe(_awaited(aclose()), self._loop).result()


async def _awaited(step: Any) -> Any:
    return await step


def _in_turn(source: AsyncIterator[Any], loop: asyncio.AbstractEventLoop) -> _Turns:
    return _Turns(source, loop)


def _with_body(given: Any, body: Any) -> Response:
    if isinstance(given, Response):
        return Response(body, given.status, given.headers)
    return Response(body)


def _whole(body: Iterator[bytes]) -> bytes:
    parts: List[bytes] = []
    size = 0
    for part in body:
        size += len(part)
        if size > _KEPT_BODY_BYTES_MAX:
            raise ValueError(
                "the response took longer than its client waits, and of such at most "
                f"{_KEPT_BODY_BYTES_MAX} bytes are kept"
            )
        parts.append(part)
    return b"".join(parts)


def _close(body: Any) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()
