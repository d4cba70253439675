"""The runner: told the code once, it takes inputs and answers each.

Inputs of a plain function run in the main thread one after the other, or in as many threads or
processes as may run at once; those of an ``async def`` in one event loop (``work.py``). One more
thread reads the channel, so that inputs which have not begun can be taken back while another
runs, and one sends lines (``lines.py``).
"""

import _thread
import gc
import importlib
import inspect
import os
import signal
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Optional, Tuple

from .channel import Channel
from .frames import Header, split_body
from .hooks import ENTER, EXIT, hooks_of, run_hooks
from .inputs import Waiting
from .lines import Lines
from .loading import Loaded, load
from .running import RunningInputs
from .volumes import ask_through
from .way_out import open_way_out
from .wire_error import wire_error_of
from .work import Work

if TYPE_CHECKING:
    from .processes import Processes

# Values may nest a thousand deep, at four calls a level.
_RECURSION_LIMIT = 6_000

_PAUSE_SECONDS = 0.01

_exit_process = os._exit


class Runner:
    """One container's worth of user code."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._frames: Iterator[Tuple[Header, bytes]] = channel.frames()
        self._running = RunningInputs()
        self._lines = Lines(channel, lambda: self._running.present)
        self._work = Work(
            channel, self._lines, self._running, lambda error: self._exit(_exit_code_of(error))
        )
        self._load_ms = 0
        self._exits: List[Callable[[], Any]] = []
        # Of a server in this container: what went wrong with it.
        self._server_error: Optional[BaseException] = None
        self._processes: Optional[Processes] = None
        # Whether the thread that runs inputs reads the channel now, and whether another does.
        self._is_reading = False
        self._has_reader = False
        self._leaves_later = False

    def run(self) -> None:
        """Serves until the channel ends."""
        sys.setrecursionlimit(max(sys.getrecursionlimit(), _RECURSION_LIMIT))
        self._take_over()
        header, code = next(self._frames, ({}, b""))
        start = {"boot": self._boot, "load": self._load_to_be_kept}.get(header.get("type"))
        if start is None:
            return
        self._channel.send({"type": "begun"})
        loaded = start(header, code)
        if loaded is None:
            return
        if self._processes is None:
            self._serve(loaded)
        else:
            self._processes.serve()

    def _take_over(self) -> None:
        """This process is a runner from here on, and what it forks is none."""
        signal.signal(signal.SIGTERM, lambda *_: _exit_process(0))
        self._lines.output.capture()
        os._exit = self._exit  # type: ignore[assignment]
        os.register_at_fork(after_in_child=self._let_go)

    def _boot(self, header: Header, code: bytes) -> Optional[Loaded]:
        """A whole start at once."""
        if _in_processes(header):
            _watch_generators()
            self._lines.may_start_thread = False
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
        self._lines.end_thread()
        self._lines.send(True)
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
        self._lines.may_start_thread = not _in_processes(header)
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
            loaded = load(code, python["module"], python["handler"], env, into)
            if loaded.is_async:
                # Here, so that an image of memory has it.
                importlib.import_module("asyncio")
            return loaded

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
        self._lines.send(False)
        self._channel.send({"type": "ready", **({"leaves": True} if self._exits else {}), **times})
        return loaded

    def _with_server(self, loaded: Loaded, port: int) -> Loaded:
        """The same code as what answers requests, once its server listens on the port."""
        from .port_forward import await_port

        def serve() -> None:
            try:
                given = loaded.handler()
                if inspect.iscoroutine(given):
                    import asyncio

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
            self._lines.send(True)
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
            self._lines.send(True)
            self._channel.send({"type": "load_failed", "error": wire_error_of(error)})
            _exit_process(1)
        self._exits = hooks_of(EXIT, loaded.instance)
        pid = os.getpid()
        signal.signal(signal.SIGTERM, lambda *_: self._leave_aside(pid))
        if loaded.is_async:
            self._serve(loaded)
            return
        ask_through(self._work.requests)
        # The zygote gives one input at a time and takes none back, so nothing need be read
        # meanwhile, and a process starts without a thread. A signal says that it is to leave.
        self._work.requests.pump = self._pump
        while self._pump():
            if self._work.queue.has_generator:
                # It is to be told while it runs: what its reader has, and that no more is wanted.
                self._work.requests.pump = None
                self._serve(loaded)
                return
            if len(self._work.queue) > 0:
                self._work.run_one(loaded)
            if self._leaves_later:
                self._leave()

    def _pump(self) -> bool:
        """Takes one frame, in the thread that runs inputs; False at the end of the channel."""
        self._is_reading = True
        if self._has_reader:
            # Another thread does it by now, and soon ends the process.
            time.sleep(_PAUSE_SECONDS)
            return True
        header, body = next(self._frames, (None, b""))
        self._is_reading = False
        if header is None:
            _exit_process(0)
            return False
        # In the middle of an input it came with what the input asked for.
        if header["type"] == "leave" and self._running.present is not None:
            self._leaves_later = True
        else:
            self._receive(header, body)
        return True

    def _leave_aside(self, pid: int) -> None:
        """From a signal: the main thread may be in the user's code, which is not waited for."""
        if os.getpid() != pid:
            _exit_process(0)
        # Threads not by `threading`: whoever was interrupted may hold a lock of it.
        if self._leaves_later:
            self._leaves_later = False
            _thread.start_new_thread(self._leave, ())
        elif not self._is_reading and not self._has_reader:
            self._has_reader = True
            _thread.start_new_thread(self._read, ())

    def _serve(self, loaded: Loaded) -> None:
        ask_through(self._work.requests)
        self._has_reader = True
        self._start_thread(self._read, "flotilla-channel")
        self._work.run_all(loaded)

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
            self._work.queue.put(
                Waiting(each["inputId"], piece, each.get("web"), came, each.get("skip"))
                for each, piece in inputs
            )
        elif header["type"] == "stream":
            self._work.hear(header, body)
        elif header["type"] == "credit":
            self._work.consume(header["inputId"], header["consumed"])
        elif header["type"] == "cancel":
            self._work.give_back(set(header["inputIds"]))
        elif header["type"] == "abort":
            self._work.abort(set(header["inputIds"]))
        elif header["type"] == "response":
            self._work.requests.receive(header, body)
        elif header["type"] == "leave":
            self._leave()

    def _leave(self) -> None:
        """Ends in peace: the server gave what has not begun, and what fails now, to others."""
        self._work.leave()
        ask_through(None)
        for hook in self._exits:
            try:
                hook()
            except BaseException:
                traceback.print_exc()
        self._lines.send(True)
        self._work.answers.flush()
        _exit_process(0)

    def _await_end(self) -> None:
        """The agent has been told, and ends this process."""
        for _ in self._frames:
            pass

    def _exit(self, code: int) -> Any:
        """Ends the process, once the agent knows which input wanted it."""
        input_id = self._running.present
        try:
            self._lines.send(True)
            self._work.answers.flush()
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
        self._lines.output.release()
        self._channel.close()

    @staticmethod
    def _start_thread(work: Any, name: str) -> threading.Thread:
        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        return thread


def _only_by_its_port(*_: Any) -> Any:
    raise TypeError("the function is a web server: it is called by its URL")


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
