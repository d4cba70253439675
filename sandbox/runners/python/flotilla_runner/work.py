"""Inputs at work: in the main thread in turn, in threads, or together in one event loop.

``asyncio`` is imported where it is needed only: with all that it imports itself it is half of what
the runner's start would cost.
"""

import inspect
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, Optional, Set

from .answers import Answers
from .channel import Channel
from .frames import Header
from .inputs import InputQueue, Waiting
from .large_values import LargeValues, Requests
from .lines import Lines
from .loading import Loaded
from .payloads import Payloads
from .running import RunningInput, RunningInputs
from .value_stream import ValueStream, check_way_to_call
from .wire_error import wire_error_of

if TYPE_CHECKING:
    import asyncio

    from .web_inputs import WebInputs

# How long what is cancelled may take to end before the exit hooks run.
_LEAVE_SECONDS = 0.5


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
        self._payloads = Payloads(LargeValues(self.requests))
        # Those of generators that run, by their inputs.
        self._streams: Dict[str, ValueStream] = {}
        # Cancels these inputs, as far as that can be done; None means all.
        self._cancel: Callable[[Optional[Set[str]]], None] = self._cancel_streams
        self._is_async = False
        self._leaving = False
        self._web: Optional[WebInputs] = None

    def run_all(self, loaded: Loaded) -> None:
        """Runs inputs as they come, until the process ends."""
        self._is_async = loaded.is_async
        if self._is_async:
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
        with self._run_of(waiting) as run:
            given = self._called(loaded, waiting)
            value = self._returned(given, run.stream)
            run.payload = self._payloads.encode(value, "result").payload
        self.answers.flush_unless_more(len(self.queue) > 0)

    def hear(self, header: Header, body: bytes) -> None:
        """A piece of the stream of a request."""
        if self._web is not None:
            self._web.hear(header, body)

    def consume(self, input_id: str, position: int) -> None:
        """The reader of a generator has its values before this position."""
        stream = self._streams.get(input_id)
        if stream is not None:
            stream.consume(position)

    def give_back(self, input_ids: Set[str]) -> None:
        """Answers for those that have not begun that they will not."""
        for input_id in self.queue.remove(input_ids):
            result = {"inputId": input_id, "outcome": "returned", "bytes": 0, "runMs": 0}
            self.answers.push(result)
        self.answers.flush()

    def abort(self, input_ids: Set[str]) -> None:
        """Cancels those that run in the event loop, and generators where they yield next."""
        self._cancel(input_ids)

    def leave(self) -> None:
        """Others get what has not begun, and what fails from here on."""
        self._leaving = True
        self.queue.clear()
        self._cancel(None)
        # What ends when it is cancelled ends before what it uses is taken down.
        self._running.await_end(None if self._is_async else set(self._streams), _LEAVE_SECONDS)

    def _work_in_turn(self, loaded: Loaded) -> None:
        while True:
            self.run_one(loaded)

    def _called(self, loaded: Loaded, waiting: Waiting) -> Any:
        if waiting.web is None:
            return loaded.handler(*self._payloads.arguments(waiting.payload))
        web, arguments = self._web_inputs(), self._payloads.arguments(waiting.payload)
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
        self.queue.on_put = lambda: _call_in(loop, changed.set)
        tasks: Dict[str, "asyncio.Task[None]"] = {}
        cancelled: Set[str] = set()

        def cancel(input_ids: Optional[Set[str]]) -> None:
            # Once each: what a task does to end is left alone.
            for input_id in _of(tasks, input_ids) - cancelled:
                tasks[input_id].cancel("the call was cancelled")
                cancelled.add(input_id)
            # In this very turn: a generator is closed in peace where it goes on nevertheless.
            self._cancel_streams(input_ids)

        self._cancel = lambda input_ids: _call_in(loop, cancel, input_ids)

        def ended(input_id: str) -> None:
            tasks.pop(input_id, None)
            cancelled.discard(input_id)
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
        with self._run_of(waiting) as run:
            arguments = await self._payloads.arguments_async(waiting.payload)
            if waiting.web is None:
                value = await self._returned_async(loaded.handler(*arguments), run.stream)
            else:
                value = await self._web_inputs().answer_async(
                    waiting.input_id, waiting.web, waiting.came, arguments, loaded.handler
                )
            run.payload = (await self._payloads.encode_async(value, "result")).payload
        self.answers.flush()

    def _returned(self, given: Any, stream: Optional[ValueStream]) -> Any:
        """The value itself; of a generator, after its values were sent, what it returned."""
        check_way_to_call(given, stream)
        if stream is None:
            return given
        if inspect.isasyncgen(given):
            raise TypeError("only an `async def` function can give an asynchronous generator")
        return stream.drain(given, lambda at, value: self._payloads.encode(value, f"value {at}"))

    async def _returned_async(self, given: Any, stream: Optional[ValueStream]) -> Any:
        if not inspect.isasyncgen(given):
            given = await given
        check_way_to_call(given, stream)
        if stream is None:
            return given
        if inspect.isgenerator(given):
            raise TypeError("an `async def` function gives an asynchronous generator, no plain one")
        await stream.drain_async(
            given, lambda at, value: self._payloads.encode_async(value, f"value {at}")
        )
        return None

    def _cancel_streams(self, input_ids: Optional[Set[str]]) -> None:
        streams = dict(self._streams)
        for input_id in _of(streams, input_ids):
            streams[input_id].cancel()

    @contextmanager
    def _run_of(self, waiting: Waiting) -> Iterator["_Run"]:
        """One input, which is answered however its body ends."""
        run = _Run(self._running.begin(waiting.input_id), self._stream_of(waiting))
        try:
            yield run
        except SystemExit as error:
            self._on_exit(error)
        except BaseException as error:
            self._failed(run.running, error, waiting)
        else:
            result = {"outcome": "succeeded", "bytes": len(run.payload)}
            self._answer(run.running, result, run.payload)
        finally:
            self._streams.pop(waiting.input_id, None)

    def _stream_of(self, waiting: Waiting) -> Optional[ValueStream]:
        input_id = waiting.input_id
        if waiting.skip is None:
            return None

        def send(sequence: int, payload: bytes) -> None:
            self._lines.send(True)
            value = {"inputId": input_id, "sequence": sequence, "bytes": len(payload)}
            self._channel.send({"type": "values", "values": [value]}, [payload])

        stream = ValueStream(waiting.skip, send)
        self._streams[input_id] = stream
        return stream

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


class _Run:
    """An input that runs; its payload is that of its result."""

    def __init__(self, running: RunningInput, stream: Optional[ValueStream]) -> None:
        self.running = running
        self.stream = stream
        self.payload = b""


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


def _call_in(loop: "asyncio.AbstractEventLoop", work: Callable[..., None], *given: Any) -> None:
    loop.call_soon_threadsafe(work, *given)


def _of(inputs: Dict[str, Any], input_ids: Optional[Set[str]]) -> Set[str]:
    """The ids of those inputs that are wanted; None means all."""
    return set(inputs) if input_ids is None else inputs.keys() & input_ids
