"""A process of its own for what may end a process: reading files that anybody dropped.

It is forked, so that it has imported everything already, and shares nothing with its parent but a
pipe: what happens to it there happens to no other process.
"""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

_PR_SET_PDEATHSIG = 1
# Of each thread, which the limit of memory counts as a whole.
_STACK_BYTES = 8 * 1024 * 1024
# Its first words come at once; a process that was forked at a bad moment may never say them.
_SECONDS_TO_BEGIN = 60
_TIMES_TO_BEGIN = 3
# Where memory runs out, the kernel takes this process rather than its parent, or another program.
_OOM_SCORE = b"600"

_libc = ctypes.CDLL(None, use_errno=True)


class ChildDied(Exception):
    """The process ended by itself or was killed; the message says how."""


class OutOfTime(Exception):
    """The process took longer than it may, and was killed."""


class Child:
    """A process that does `work` with its end of a pipe, until it is ended.

    It ends with its parent, and with the thread that made it, at the latest. Whatever it is sent
    and sends can be pickled. Its memory, beyond what it shares with its parent, is bounded by
    `memory_bytes`, and each file that it writes by `file_bytes`.
    """

    def __init__(
        self, work: Callable[[Connection], None], *, memory_bytes: int, file_bytes: int
    ) -> None:
        self._work = work
        self._pid: int | None = None
        self._limits = (memory_bytes, file_bytes)
        for _ in range(_TIMES_TO_BEGIN):
            self._fork()
            try:
                self.receive(time.monotonic() + _SECONDS_TO_BEGIN)
            except OutOfTime:
                continue
            return
        raise ChildDied(f"a process to read files in did not begin within {_SECONDS_TO_BEGIN} s")

    def send(self, message: object) -> None:
        """Tell the child. Raises `ChildDied`."""
        try:
            self._pipe.send(message)
        except OSError as error:
            raise ChildDied(self._end()) from error

    def receive(self, deadline: float) -> Any:
        """What the child says next. Raises `ChildDied`, or `OutOfTime` at `deadline`, a time of
        the monotonic clock; the child has ended then."""
        try:
            if not self._pipe.poll(max(0.0, deadline - time.monotonic())):
                self.kill()
                raise OutOfTime
            return self._pipe.recv()
        except (EOFError, OSError) as error:
            raise ChildDied(self._end()) from error
        except (UnpicklingError, AttributeError, ImportError, IndexError, TypeError) as error:
            self.kill()
            raise ChildDied("what it said made no sense") from error

    def kill(self) -> None:
        """End the child, whatever it does; once it has ended, nothing."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGKILL)
            self._end()

    def _end(self) -> str:
        """Wait for the end of a child that is about to end; how it did."""
        self._pipe.close()
        if self._pid is None:
            return "it had ended before"
        _, status = os.waitpid(self._pid, 0)
        self._pid = None
        code = os.waitstatus_to_exitcode(status)
        if code >= 0:
            return f"it ended with {code}"
        try:
            return f"it was ended by {signal.Signals(-code).name}"
        except ValueError:
            return f"it was ended by signal {-code}"

    def _fork(self) -> None:
        self._pipe, of_child = Pipe()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            status = 1
            try:
                _settle(parent, of_child.fileno(), *self._limits)
                of_child.send("begun")
                self._work(of_child)
                status = 0
            finally:
                # Nothing of the parent's is finished, flushed or closed here.
                os._exit(status)
        of_child.close()


def _settle(parent: int, pipe: int, memory_bytes: int, file_bytes: int) -> None:
    """Be a process that harms none but itself."""
    # What the parent holds is not to be collected here: a database of its has no threads here.
    gc.freeze()
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    # A signal to all processes of a run or a terminal is for the parent to answer.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Locks of files among them, which are to be free as soon as the parent is dead.
    os.closerange(3, pipe)
    os.closerange(pipe + 1, os.sysconf("SC_OPEN_MAX"))
    Path("/proc/self/oom_score_adj").write_bytes(_OOM_SCORE)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, file_bytes)
    stacks = _STACK_BYTES * (os.cpu_count() or 1)
    _lower(resource.RLIMIT_DATA, _data_bytes() + stacks + memory_bytes)


def _lower(limit: int, wanted: int) -> None:
    """Bound a resource, unless it is bounded to less already."""
    soft, hard = resource.getrlimit(limit)
    bounds = [value for value in (soft, hard, wanted) if value != resource.RLIM_INFINITY]
    resource.setrlimit(limit, (min(bounds), hard))


def _data_bytes() -> int:
    """The memory that this process may write to, as the limit of it counts."""
    for line in Path("/proc/self/status").read_text().split("\n"):
        name, _, value = line.partition(":")
        if name == "VmData":
            return int(value.split()[0]) * 1024
    return 0
