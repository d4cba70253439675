"""A zygote: the process that has loaded the code forks one for each input that runs at once.

It loads the module, starts no thread, and from then on only passes frames on: inputs to the
processes, their lines and results to the agent. A process takes one input after the other and is
forked when an input would have to wait, so a start costs a fork and not an import. It ends with
its input where that is cancelled or takes it down, and the container goes on.

Memory and processor are those of the one container that they all are in; so is its user.
"""

import gc
import os
import select
import signal
import socket
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Set

from .answers import Answers
from .channel import Channel
from .frames import Header, split_body
from .inputs import InputQueue, Waiting
from .reseed import hold_generators
from .running import RunningInput, RunningInputs

# What a process does in its life, given its end of a channel.
Live = Callable[[Channel], None]

# How long a generator that is cancelled may take to close, before its process is ended.
_CLOSE_SECONDS = 0.3
# How long inputs may go on once the container leaves, before exit hooks run beside them.
_LEAVE_SECONDS = 3.0


class LoadedThreadsError(Exception):
    """The code cannot be forked."""


class _Process:
    def __init__(self, pid: int, channel: Channel) -> None:
        self.pid = pid
        self.channel = channel
        self.running: Optional[RunningInput] = None
        self.is_cancelled = False
        # The values of its input are read.
        self.is_generating = False
        # When it is ended, whatever it is doing.
        self.kill_at = float("inf")
        # Its requests to the server that have no answer: their numbers there, by those here.
        self.requests: Dict[int, int] = {}


class Processes:
    """The processes of one container; single-threaded."""

    def __init__(self, channel: Channel, running: RunningInputs, live: Live) -> None:
        self._channel = channel
        self._running = running
        self._live = live
        self._queue = InputQueue()
        self._answers = Answers(channel, lambda: None)
        self._processes: List[_Process] = []
        self._last_request_id = 0
        self._is_leaving = False
        # When processes that still run an input are to leave all the same.
        self._disturb_at = float("inf")

    @staticmethod
    def prepare() -> None:
        """To be called once the code is loaded; raises where a fork would not be whole."""
        others = [each.name for each in threading.enumerate()][1:]
        if others:
            raise LoadedThreadsError(
                f"the code starts threads while it is loaded ({', '.join(others)}), which a "
                'process of workers: "processes" does not have: start them in @flotilla.enter'
            )
        gc.collect()
        hold_generators()
        # What is never collected is never written to, and stays shared with the processes.
        gc.freeze()

    def serve(self) -> None:
        """Passes frames on until the agent ends the channel, or the container has left."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        while self._processes or not self._is_leaving:
            waiting: List[Any] = [self._channel, *(each.channel for each in self._processes)]
            for ready in select.select(waiting, [], [], self._pause_seconds())[0]:
                if ready is self._channel:
                    frames = self._channel.frames_now()
                    if frames is None:
                        self._kill_all()
                        return
                    for header, body in frames:
                        self._receive(header, body)
                        self._dispatch()
                else:
                    self._hear(next(each for each in self._processes if each.channel is ready))
            self._end_overdue()
            self._dispatch()

    def _pause_seconds(self) -> Optional[float]:
        """How long nothing is to be done, if nothing comes; None means for ever."""
        until = min([self._disturb_at, *(each.kill_at for each in self._processes)])
        pause = min(until - time.monotonic(), self._channel.look_seconds or float("inf"))
        return None if pause == float("inf") else max(0.0, pause)

    def _receive(self, header: Header, body: bytes) -> None:
        if header["type"] == "inputs":
            pieces = split_body(body, [each["bytes"] for each in header["inputs"]])
            inputs = zip(header["inputs"], pieces)
            self._queue.put(
                Waiting(each["inputId"], piece, skip=each.get("skip")) for each, piece in inputs
            )
        elif header["type"] == "credit":
            for process in self._those_of({header["inputId"]}):
                _tell(process, header)
        elif header["type"] == "cancel":
            for input_id in self._queue.remove(set(header["inputIds"])):
                returned = {"inputId": input_id, "outcome": "returned", "bytes": 0, "runMs": 0}
                self._answers.push(returned)
            self._answers.flush()
        elif header["type"] == "abort":
            self._abort(set(header["inputIds"]))
        elif header["type"] == "response":
            self._respond(header, body)
        elif header["type"] == "leave":
            self._leave()

    def _respond(self, header: Header, body: bytes) -> None:
        for process in self._processes:
            number = process.requests.pop(header["requestId"], None)
            if number is None:
                continue
            _tell(process, {**header, "requestId": number}, body)

    def _request(self, process: _Process, header: Header, body: bytes) -> None:
        """A process numbers its requests for itself; here they need numbers of their own."""
        self._last_request_id += 1
        process.requests[self._last_request_id] = header["requestId"]
        self._channel.send({**header, "requestId": self._last_request_id}, [body])

    def _dispatch(self) -> None:
        while len(self._queue) > 0:
            idle = next((each for each in self._processes if each.running is None), None)
            if idle is None and len(self._processes) < self._running.max:
                idle = self._fork()
            if idle is None:
                return
            given = self._queue.take()
            idle.running = self._running.begin(given.input_id)
            one: Header = {"inputId": given.input_id, "bytes": len(given.payload)}
            idle.is_generating = given.skip is not None
            if given.skip is not None:
                one["skip"] = given.skip
            try:
                idle.channel.send({"type": "inputs", "inputs": [one]}, [given.payload])
            except OSError:
                # It has just ended; its channel tells so next.
                return

    def _fork(self) -> _Process:
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            for each in self._processes:
                each.channel.close()
            self._live(Channel(theirs))
            os._exit(0)
        theirs.close()
        process = _Process(pid, Channel(ours))
        self._processes.append(process)
        return process

    def _hear(self, process: _Process) -> None:
        frames = process.channel.frames_now()
        if frames is None:
            self._ended(process)
            return
        for header, body in frames:
            if header["type"] == "logs":
                self._channel.send(header)
            elif header["type"] == "results":
                self._answered(process, header["results"], body)
            elif header["type"] == "values":
                self._channel.send(header, [body])
            elif header["type"] == "request":
                self._request(process, header, body)
            elif header["type"] == "load_failed":
                # A hook of this process failed; so does the input that it was made for.
                self._fail(process, header["error"])
        self._answers.flush()

    def _answered(self, process: _Process, results: List[Dict[str, Any]], body: bytes) -> None:
        for result in results:
            running, process.running = process.running, None
            process.is_cancelled, process.kill_at = False, float("inf")
            if running is not None and running.input_id == result["inputId"]:
                self._answers.push({**result, **self._running.end(running)}, body)

    def _fail(self, process: _Process, error: Dict[str, Any]) -> None:
        running, process.running = process.running, None
        # What fails while the container leaves runs again elsewhere.
        if running is not None and not self._is_leaving:
            failed = {"inputId": running.input_id, "outcome": "failed", "bytes": 0, "error": error}
            self._answers.push({**failed, **self._running.end(running)})

    def _ended(self, process: _Process) -> None:
        self._processes.remove(process)
        process.channel.close()
        _kill(process.pid)
        _, status = os.waitpid(process.pid, 0)
        message = "the call was cancelled" if process.is_cancelled else _ending_of(status)
        self._fail(process, {"name": "ProcessEndedError", "message": message})
        self._answers.flush()

    def _abort(self, input_ids: Set[str]) -> None:
        """A process ends with its input, whatever it is doing; a generator is closed first."""
        for process in self._those_of(input_ids):
            process.is_cancelled = True
            if process.is_generating:
                _tell(process, {"type": "abort", "inputIds": list(input_ids)})
                process.kill_at = min(process.kill_at, time.monotonic() + _CLOSE_SECONDS)
            else:
                _kill(process.pid)

    def _end_overdue(self) -> None:
        now = time.monotonic()
        for process in self._processes:
            if now >= process.kill_at:
                process.kill_at = float("inf")
                _kill(process.pid)
            elif now >= self._disturb_at and process.running is not None:
                _kill(process.pid, signal.SIGTERM)
        if now >= self._disturb_at:
            self._disturb_at = float("inf")

    def _those_of(self, input_ids: Set[str]) -> List[_Process]:
        return [
            each
            for each in self._processes
            if each.running is not None and each.running.input_id in input_ids
        ]

    def _leave(self) -> None:
        """The processes run their exit hooks: those that are idle now, others after their input."""
        self._is_leaving = True
        self._disturb_at = time.monotonic() + _LEAVE_SECONDS
        # Others get what has not begun.
        self._queue.clear()
        for process in self._processes:
            _tell(process, {"type": "leave"})

    def _kill_all(self) -> None:
        for process in self._processes:
            _kill(process.pid)
        for process in self._processes:
            os.waitpid(process.pid, 0)


def _tell(process: _Process, header: Header, body: bytes = b"") -> None:
    try:
        process.channel.send(header, [body])
    except OSError:
        # It has just ended; its channel tells so next.
        pass


def _kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        # It has ended by itself.
        pass


def _ending_of(status: int) -> str:
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        return f"the process that ran this input was ended by {name}"
    code = os.WEXITSTATUS(status)
    return f"the process that ran this input exited with code {code}"
