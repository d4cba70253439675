"""Inputs at work: in the main thread in turn, in threads, or together in one event loop.

``asyncio`` is imported where it is needed only: with all that it imports itself it is half of what
the runner's start would cost.
"""

import sys
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Sequence, Set

from .answers import Answers
from .channel import Channel
from .frames import PAYLOAD_BYTES_MAX, Header
from .inputs import InputQueue, Waiting
from .large_values import LARGE_PAYLOAD_BYTES_MAX, LargeValues, Requests
from .lines import Lines
from .loading import Loaded
from .running import RunningInput, RunningInputs
from .tags import PayloadTooLargeError
from .values import decode_large, decode_value, encode_segments, is_reference
from .wire_error import wire_error_of

if TYPE_CHECKING:
    import asyncio

    from .web_inputs import WebInputs


class Work:
    """Runs the inputs of one container and answers each."""

    def __init__(
        self,
        channel: Channel,
        lines: Lines,
        running: RunningInputs,
        on_exit: Callable[[SystemExit], Any],
    ) -> None:
        self.queue = InputQueue()
        self.requests = Requests(channel)
        self.answers = Answers(channel, lambda: lines.send(False))
        self._channel = channel
        self._lines = lines
        self._running = running
        # The user's code wants the process to end.
        self._on_exit = on_exit
        self._large = LargeValues(self.requests)
        # Tells the event loop, where there is one, to cancel these inputs; None means all.
        self._cancel: Callable[[Optional[Set[str]]], None] = lambda _: None
        self._leaving = False
        self._web: Optional[WebInputs] = None

    def run_all(self, loaded: Loaded) -> None:
        """Runs inputs as they come, until the process ends."""
        if loaded.is_async:
            import asyncio

            asyncio.run(self._work_together(loaded))
        elif self._running.max == 1:
            self._work_in_turn(loaded)
        else:
            # Started as they are needed: few functions are called a thousand at a time.
            _Threads(self._running.max, self.queue, lambda: self._work_in_turn(loaded))
            threading.Event().wait()

    def run_one(self, loaded: Loaded) -> None:
        """Runs the next input, once there is one."""
        waiting = self.queue.take()
        running = self._running.begin(waiting.input_id)
        try:
            value = self._called(loaded, waiting)
            payload = self._payload(value)
        except SystemExit as error:
            self._on_exit(error)
        except BaseException as error:
            self._failed(running, error, waiting)
        else:
            self._succeeded(running, payload)
        self.answers.flush_unless_more(len(self.queue) > 0)

    def hear(self, header: Header, body: bytes) -> None:
        """A piece of the stream of a request."""
        if self._web is not None:
            self._web.hear(header, body)

    def give_back(self, input_ids: Set[str]) -> None:
        """Answers for those that have not begun that they will not."""
        for input_id in self.queue.remove(input_ids):
            result = {"inputId": input_id, "outcome": "returned", "bytes": 0, "runMs": 0}
            self.answers.push(result)
        self.answers.flush()

    def abort(self, input_ids: Set[str]) -> None:
        """Cancels those that run in the event loop."""
        self._cancel(input_ids)

    def leave(self) -> None:
        """Others get what has not begun, and what fails from here on."""
        self._leaving = True
        self.queue.clear()
        self._cancel(None)

    def _work_in_turn(self, loaded: Loaded) -> None:
        while True:
            self.run_one(loaded)

    def _called(self, loaded: Loaded, waiting: Waiting) -> Any:
        if waiting.web is None:
            return loaded.handler(*self._arguments(waiting))
        web, arguments = self._web_inputs(), self._arguments(waiting)
        return web.answer(waiting.input_id, waiting.web, waiting.came, arguments, loaded.handler)

    def _web_inputs(self) -> "WebInputs":
        """Imported where it is needed only: other functions start without it."""
        if self._web is None:
            from .web_inputs import WebInputs

            self._web = WebInputs(self._channel)
        return self._web

    async def _work_together(self, loaded: Loaded) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        self.queue.on_put = lambda: _wake(loop, changed)
        tasks: Dict[str, "asyncio.Task[None]"] = {}
        self._cancel = lambda input_ids: loop.call_soon_threadsafe(_cancel, tasks, input_ids)

        def ended(input_id: str) -> None:
            tasks.pop(input_id, None)
            changed.set()

        while True:
            while len(tasks) < self._running.max:
                waiting = self.queue.take_now()
                if waiting is None:
                    break
                task = loop.create_task(self._run_async(loaded, waiting))
                tasks[waiting.input_id] = task
                task.add_done_callback(lambda _, input_id=waiting.input_id: ended(input_id))
            await changed.wait()
            changed.clear()

    async def _run_async(self, loaded: Loaded, waiting: Waiting) -> None:
        running = self._running.begin(waiting.input_id)
        try:
            # What is large is waited for in a thread, so that other inputs go on.
            if is_reference(waiting.payload):
                arguments = await _aside(lambda: self._arguments(waiting))
            else:
                arguments = self._arguments(waiting)
            if waiting.web is None:
                value = await loaded.handler(*arguments)
            else:
                value = await self._web_inputs().answer_async(
                    waiting.input_id, waiting.web, waiting.came, arguments, loaded.handler
                )
            segments = encode_segments(value, "result")
            if _size_of(segments) > PAYLOAD_BYTES_MAX:
                payload = await _aside(lambda: self._kept(segments))
            else:
                payload = b"".join(segments)
        except SystemExit as error:
            self._on_exit(error)
        except BaseException as error:
            self._failed(running, error, waiting)
        else:
            self._succeeded(running, payload)
        self.answers.flush()

    def _arguments(self, waiting: Waiting) -> Any:
        if is_reference(waiting.payload):
            arguments = decode_large(self._large.segments_of(waiting.payload))
        else:
            arguments = decode_value(waiting.payload)
        if not isinstance(arguments, list):
            raise TypeError("the input is not a list of arguments")
        return arguments

    def _payload(self, value: Any) -> bytes:
        """The payload of a result; one that is too large for a frame is kept as blobs."""
        segments = encode_segments(value, "result")
        return self._kept(segments) if _size_of(segments) > PAYLOAD_BYTES_MAX else b"".join(segments)

    def _kept(self, segments: Sequence[Any]) -> bytes:
        size = _size_of(segments)
        if size > LARGE_PAYLOAD_BYTES_MAX:
            raise PayloadTooLargeError(
                f"the result has {size} bytes, more than the {LARGE_PAYLOAD_BYTES_MAX} that one "
                "may have"
            )
        return self._large.store(segments)

    def _succeeded(self, running: RunningInput, payload: bytes) -> None:
        self._answer(running, {"outcome": "succeeded", "bytes": len(payload)}, payload)

    def _failed(self, running: RunningInput, error: BaseException, waiting: Waiting) -> None:
        if self._leaving:
            # It runs again elsewhere.
            self._running.end(running)
            return
        # The client of a request is not told why, and one that has gone is the reason.
        if waiting.web is not None and not _is_by_the_client(error):
            print(wire_error_of(error).get("stack", error), file=sys.stderr)
        self._answer(running, {"outcome": "failed", "bytes": 0, "error": wire_error_of(error)})

    def _answer(self, running: RunningInput, result: Dict[str, Any], payload: bytes = b"") -> None:
        times = self._running.end(running)
        self._lines.output.finish(running.input_id)
        self.answers.push({"inputId": running.input_id, **result, **times}, payload)

class _Threads:
    """Threads that work, one more whenever an input would have to wait."""

    def __init__(self, most: int, queue: InputQueue, work: Any) -> None:
        self._most = most
        self._queue = queue
        self._work = work
        self._started = 0
        queue.on_put = self._grow
        self._grow()

    def _grow(self) -> None:
        wanted = min(self._most, self._started + max(1, len(self._queue)))
        while self._started < wanted:
            self._started += 1
            threading.Thread(target=self._work, daemon=True).start()


def _is_by_the_client(error: BaseException) -> bool:
    from asyncio import CancelledError

    from .piece_stream import StreamResetError
    from .web_inputs import ClientGoneError

    return isinstance(error, (StreamResetError, ClientGoneError, CancelledError))


async def _aside(work: Callable[[], Any]) -> Any:
    """The result of work that blocks, done in a thread of its own."""
    import asyncio

    return await asyncio.get_running_loop().run_in_executor(None, work)


def _wake(loop: "asyncio.AbstractEventLoop", changed: "asyncio.Event") -> None:
    loop.call_soon_threadsafe(changed.set)


def _cancel(tasks: Dict[str, "asyncio.Task[None]"], input_ids: Optional[Set[str]]) -> None:
    for input_id, task in tasks.items():
        if input_ids is None or input_id in input_ids:
            task.cancel("the call was cancelled")


def _size_of(segments: Sequence[Any]) -> int:
    return sum(len(segment) for segment in segments)
