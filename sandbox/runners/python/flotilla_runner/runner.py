"""The runner: told the code once, it takes inputs and answers each.

Inputs of a plain function run in the main thread one after the other, or in as many threads or
processes as may run at once; those of an ``async def`` in one event loop. One more thread reads the channel,
so that inputs which have not begun can be taken back while another runs, and one sends lines.
"""

import asyncio
import gc
import inspect
import os
import signal
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from .answers import Answers
from .channel import Channel
from .frames import PAYLOAD_BYTES_MAX, Header, split_body
from .hooks import ENTER, EXIT, hooks_of, run_hooks
from .inputs import InputQueue, Waiting
from .large_values import LARGE_PAYLOAD_BYTES_MAX, LargeValues, Requests
from .loading import Loaded, load
from .output import Output
from .running import RunningInput, RunningInputs
from .tags import PayloadTooLargeError
from .values import decode_large, decode_value, encode_segments, is_reference
from .volumes import ask_through
from .way_out import open_way_out
from .wire_error import wire_error_of

if TYPE_CHECKING:
    from .processes import Processes
    from .web_inputs import WebInputs

# Values may nest a thousand deep, at four calls a level.
_RECURSION_LIMIT = 6_000
# Lines wait this long for others before they are sent.
_LINES_GATHER_SECONDS = 0.005

_exit_process = os._exit


class Runner:
    """One container's worth of user code."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._frames: Iterator[Tuple[Header, bytes]] = channel.frames()
        self._running = RunningInputs()
        self._lines_wait = threading.Event()
        self._lines_lock = threading.Lock()
        # No thread sends lines while the code is loaded that others are to be forked from.
        self._may_start_threads = True
        self._load_ms = 0
        self._lines_thread: Optional[threading.Thread] = None
        self._output = Output(self._lines_came, lambda: self._running.present)
        self._requests = Requests(channel)
        self._large = LargeValues(self._requests)
        self._answers = Answers(channel, lambda: self._send_lines(False))
        self._queue = InputQueue()
        self._exits: List[Callable[[], Any]] = []
        # Tells the event loop, where there is one, to cancel these inputs; None means all.
        self._cancel: Callable[[Optional[Set[str]]], None] = lambda _: None
        self._leaving = False
        self._web: Optional[WebInputs] = None
        # Of a server in this container: what went wrong with it.
        self._server_error: Optional[BaseException] = None
        self._processes: Optional[Processes] = None

    def run(self) -> None:
        """Serves until the channel ends."""
        sys.setrecursionlimit(max(sys.getrecursionlimit(), _RECURSION_LIMIT))
        self._take_over()
        header, code = next(self._frames, ({}, b""))
        start = {"boot": self._boot, "load": self._load_to_be_kept}.get(header.get("type"))
        loaded = None if start is None else start(header, code)
        if loaded is None:
            return
        if self._processes is None:
            self._serve(loaded)
        else:
            self._processes.serve()

    def _take_over(self) -> None:
        """This process is a runner from here on, and what it forks is none."""
        signal.signal(signal.SIGTERM, lambda *_: _exit_process(0))
        self._output.capture()
        os._exit = self._exit  # type: ignore[assignment]
        os.register_at_fork(after_in_child=self._let_go)

    def _boot(self, header: Header, code: bytes) -> Optional[Loaded]:
        """A whole start at once."""
        if _in_processes(header):
            _watch_generators()
            self._may_start_threads = False
        loaded = self._load(header, code, header["env"])
        return None if loaded is None else self._begin(loaded, header)

    def _load_to_be_kept(self, header: Header, code: bytes) -> Optional[Loaded]:
        """The half of a start that an image of this process's memory may hold, then the other.

        The second half may be that of another process, which was restored from the image.
        """
        from .obstacles import image_obstacle
        from .reseed import reseed

        _watch_generators()
        loaded = self._load(header, code, header.get("env", {}))
        if loaded is None:
            return None
        self._end_lines_thread()
        self._send_lines(True)
        gc.collect()
        obstacle = image_obstacle(self._channel.fileno())
        # Whoever is restored from an image made now may not be told of the frame that comes then.
        self._channel.look()
        told = {} if obstacle is None else {"obstacle": obstacle}
        self._channel.send({"type": "loaded", **told})
        entering, entropy = next(self._frames, ({}, b""))
        if entering.get("type") != "enter":
            return None
        if not entering.get("isDeaf"):
            self._channel.listen()
        # Where they cannot be there is no image, so this is the process that loaded.
        if obstacle is None:
            reseed(entropy)
        _set_environment(entering["env"])
        self._channel.send({"type": "entered"})
        self._may_start_threads = not _in_processes(header)
        return self._begin(loaded, header)

    def _load(self, header: Header, code: bytes, env: Dict[str, str]) -> Optional[Loaded]:
        """The user's code, loaded; None when it is not, which has been told."""
        # An image's working folder need not be writable.
        into = os.path.join(os.environ.get("TMPDIR") or os.getcwd(), "app")
        _set_environment(env)
        self._running.max = header.get("maxInputs", 1)
        python = header["python"]

        def from_archive() -> Loaded:
            if not _is_to_be_copied(header):
                open_way_out()
            return load(code, python["module"], python["handler"], env, into)

        began = time.perf_counter()
        loaded = self._told(from_archive)
        self._load_ms = _milliseconds_since(began)
        return loaded

    def _begin(self, loaded: Loaded, header: Header) -> Optional[Loaded]:
        """What every container runs for itself; it takes inputs from then on."""
        in_processes = _in_processes(header)

        def enter() -> Loaded:
            if in_processes:
                self._fork_for_inputs(loaded)
            # It is a thread, which no process may have when it is copied by a fork or an image.
            if _is_to_be_copied(header):
                open_way_out()
            if not in_processes:
                run_hooks(ENTER, loaded.instance)
            port = header["python"].get("port")
            return loaded if port is None else self._with_server(loaded, port)

        began = time.perf_counter()
        self._exits = hooks_of(EXIT, loaded.instance)
        entered = self._told(enter)
        if entered is None:
            return None
        loaded = entered
        times = {"loadMs": self._load_ms, "enterMs": _milliseconds_since(began)}
        self._send_lines(False)
        self._channel.send({"type": "ready", **({"leaves": True} if self._exits else {}), **times})
        return loaded

    def _with_server(self, loaded: Loaded, port: int) -> Loaded:
        """The same code as what answers requests, once its server listens on the port."""
        from .port_forward import await_port

        def serve() -> None:
            try:
                given = loaded.handler()
                if inspect.iscoroutine(given):
                    asyncio.run(given)
            except SystemExit as error:
                self._exit(_exit_code_of(error))
            except BaseException as error:
                self._server_error = error
                # Before it listens the start fails; later nobody else would answer.
                if is_listening.is_set():
                    traceback.print_exc()
                    self._exit(1)

        is_listening = threading.Event()
        self._start_thread(serve, "flotilla-server")
        if not await_port(port, lambda: self._server_error is not None):
            raise self._server_error or RuntimeError("the server did not start")
        is_listening.set()
        return Loaded(_only_by_its_port, None)

    def _told(self, start: Callable[[], Loaded]) -> Optional[Loaded]:
        """What a part of a start gives; None when it failed and the agent was told why."""
        try:
            return start()
        except SystemExit as error:
            self._exit(_exit_code_of(error))
        except BaseException as error:
            self._send_lines(True)
            self._channel.send({"type": "load_failed", "error": wire_error_of(error)})
            self._await_end()
        return None

    def _fork_for_inputs(self, loaded: Loaded) -> None:
        from .processes import Processes

        Processes.prepare()
        self._processes = Processes(
            self._channel, self._running, lambda channel: Runner(channel)._live(loaded)
        )

    def _live(self, loaded: Loaded) -> None:
        """The life of a process that was forked to run inputs, one at a time."""
        from .reseed import reseed

        self._take_over()
        try:
            reseed(os.urandom(48))
            run_hooks(ENTER, loaded.instance)
        except BaseException as error:
            self._send_lines(True)
            self._channel.send({"type": "load_failed", "error": wire_error_of(error)})
            _exit_process(1)
        self._exits = hooks_of(EXIT, loaded.instance)
        if loaded.is_async:
            self._serve(loaded)
            return
        ask_through(self._requests)
        # The zygote gives one input at a time and takes none back, so nothing need be read
        # meanwhile, and a process starts without a thread.
        self._requests.pump = self._pump
        for header, body in self._frames:
            self._receive(header, body)
            self._run_one(loaded, self._queue.take())

    def _pump(self) -> None:
        header, body = next(self._frames, (None, b""))
        if header is None:
            _exit_process(0)
        self._receive(header, body)

    def _serve(self, loaded: Loaded) -> None:
        ask_through(self._requests)
        self._start_thread(self._read, "flotilla-channel")
        if loaded.is_async:
            asyncio.run(self._work_together(loaded))
        elif self._running.max == 1:
            self._work_in_turn(loaded)
        else:
            # Started as they are needed: few functions are called a thousand at a time.
            _Threads(self._running.max, self._queue, lambda: self._work_in_turn(loaded))
            threading.Event().wait()

    def _work_in_turn(self, loaded: Loaded) -> None:
        while True:
            self._run_one(loaded, self._queue.take())

    def _run_one(self, loaded: Loaded, waiting: Waiting) -> None:
        running = self._running.begin(waiting.input_id)
        try:
            value = self._called(loaded, waiting)
            payload = self._payload(value)
        except SystemExit as error:
            self._exit(_exit_code_of(error))
        except BaseException as error:
            self._failed(running, error, waiting)
        else:
            self._succeeded(running, payload)
        self._answers.flush_unless_more(len(self._queue) > 0)

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
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        self._queue.on_put = lambda: _wake(loop, changed)
        tasks: Dict[str, "asyncio.Task[None]"] = {}
        self._cancel = lambda input_ids: loop.call_soon_threadsafe(_cancel, tasks, input_ids)

        def ended(input_id: str) -> None:
            tasks.pop(input_id, None)
            changed.set()

        while True:
            while len(tasks) < self._running.max:
                waiting = self._queue.take_now()
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
            self._exit(_exit_code_of(error))
        except BaseException as error:
            self._failed(running, error, waiting)
        else:
            self._succeeded(running, payload)
        self._answers.flush()

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
        self._output.finish(running.input_id)
        self._answers.push({"inputId": running.input_id, **result, **times}, payload)

    def _read(self) -> None:
        """The reading thread; the end of the channel is the end of the process."""
        try:
            for header, body in self._frames:
                self._receive(header, body)
        finally:
            _exit_process(0)

    def _receive(self, header: Header, body: bytes) -> None:
        if header["type"] == "inputs":
            pieces = split_body(body, [each["bytes"] for each in header["inputs"]])
            inputs = zip(header["inputs"], pieces)
            came = time.monotonic()
            self._queue.put(
                Waiting(each["inputId"], piece, each.get("web"), came) for each, piece in inputs
            )
        elif header["type"] == "stream" and self._web is not None:
            self._web.hear(header, body)
        elif header["type"] == "cancel":
            self._give_back(set(header["inputIds"]))
        elif header["type"] == "abort":
            self._cancel(set(header["inputIds"]))
        elif header["type"] == "response":
            self._requests.receive(header, body)
        elif header["type"] == "leave":
            self._leave()

    def _give_back(self, input_ids: Set[str]) -> None:
        for input_id in self._queue.remove(input_ids):
            result = {"inputId": input_id, "outcome": "returned", "bytes": 0, "runMs": 0}
            self._answers.push(result)
        self._answers.flush()

    def _leave(self) -> None:
        """Ends in peace: the server gave what has not begun, and what fails now, to others."""
        self._leaving = True
        self._queue.clear()
        self._cancel(None)
        ask_through(None)
        for hook in self._exits:
            try:
                hook()
            except BaseException:
                traceback.print_exc()
        self._send_lines(True)
        self._answers.flush()
        _exit_process(0)

    def _await_end(self) -> None:
        """The agent has been told, and ends this process."""
        for _ in self._frames:
            reseed(entropy)

    def _exit(self, code: int) -> Any:
        """Ends the process, once the agent knows which input wanted it."""
        input_id = self._running.present
        try:
            self._send_lines(True)
            self._answers.flush()
        except OSError:
            # Nobody is there to be told.
            _exit_process(code)
        announcement: Header = {"type": "exiting", "exitCode": code}
        if input_id is not None:
            announcement["inputId"] = input_id
        self._channel.send_last(announcement)
        _exit_process(code)

    def _let_go(self) -> None:
        """A process that the user's code forks is no runner: it has no thread to send lines."""
        os._exit = _exit_process
        self._output.release()
        self._channel.close()

    def _send_lines(self, everything: bool) -> None:
        # Whoever takes lines sends them before anybody sends the result that they go before.
        with self._lines_lock:
            batch = self._output.take(everything)
            if batch is not None:
                self._channel.send({"type": "logs", **batch})

    def _lines_came(self) -> None:
        self._lines_wait.set()
        if self._lines_thread is None and self._may_start_threads:
            with self._lines_lock:
                if self._lines_thread is None:
                    self._lines_thread = self._start_thread(
                        self._send_lines_forever, "flotilla-lines"
                    )

    def _end_lines_thread(self) -> None:
        """No thread runs in a process that others are to be copies of."""
        self._may_start_threads = False
        if self._lines_thread is not None:
            self._lines_wait.set()
            self._lines_thread.join()
            self._lines_thread = None

    def _send_lines_forever(self) -> None:
        while self._may_start_threads:
            self._lines_wait.wait()
            time.sleep(_LINES_GATHER_SECONDS)
            self._lines_wait.clear()
            self._send_lines(False)

    @staticmethod
    def _start_thread(work: Any, name: str) -> threading.Thread:
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        return thread


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
    from .piece_stream import StreamResetError
    from .web_inputs import ClientGoneError

    return isinstance(error, (StreamResetError, ClientGoneError, asyncio.CancelledError))


def _only_by_its_port(*_: Any) -> Any:
    raise TypeError("the function is a web server: it is called by its URL")


async def _aside(work: Callable[[], Any]) -> Any:
    """The result of work that blocks, done in a thread of its own."""
    return await asyncio.get_running_loop().run_in_executor(None, work)


def _wake(loop: asyncio.AbstractEventLoop, changed: asyncio.Event) -> None:
    loop.call_soon_threadsafe(changed.set)


def _cancel(tasks: Dict[str, "asyncio.Task[None]"], input_ids: Optional[Set[str]]) -> None:
    for input_id, task in tasks.items():
        if input_ids is None or input_id in input_ids:
            task.cancel("the call was cancelled")


def _watch_generators() -> None:
    # Imported where it is needed only: it costs every start some milliseconds.
    from .reseed import prepare

    prepare()


def _in_processes(header: Header) -> bool:
    return bool(header["python"].get("workers") == "processes")


def _is_to_be_copied(header: Header) -> bool:
    return header["type"] == "load" or _in_processes(header)


def _set_environment(env: Dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(env)


def _exit_code_of(error: SystemExit) -> int:
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _milliseconds_since(began: float) -> int:
    return round((time.perf_counter() - began) * 1_000)


def _size_of(segments: Sequence[Any]) -> int:
    return sum(len(segment) for segment in segments)
