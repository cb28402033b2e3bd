"""Connections whose client does not take its answers, found and cut.

The web server has no limit for this: a stranger who asks for much and reads nothing would hold a
connection, and its memory, for ever, and a thousand such connections are all that there are.
Linux says how much waits in each connection; where there is no /proc nothing is cut.
"""

import contextlib
import os
import socket
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path

SLOWEST_BYTES_A_SECOND = 1024
SWEEPS_IN_A_TIMEOUT = 10
OPEN_FILES = Path("/proc/self/fd")

# In struct tcp_info of <linux/tcp.h>.
BYTES_ACKED = struct.Struct("120xQ")
NOTSENT_BYTES = struct.Struct("144xI")
TCP_INFO_BYTES = 148
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Wait:
    """Since when an answer has been waiting, in seconds, and what the client had taken by then."""

    since: float
    bytes_taken: int

    def is_too_slow(self, now: float, bytes_taken: int) -> bool:
        """Whether the client has since taken less than the slowest one that is waited for."""
        return bytes_taken - self.bytes_taken < SLOWEST_BYTES_A_SECOND * (now - self.since)


class SlowReaders:
    """Watches the TCP connections of this process; it has none but those of its clients."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._waits: dict[int, Wait] = {}  # by inode, which outlives the number of a descriptor

    def watch(self) -> None:
        """Sweep in the background, as long as the process lives."""
        if OPEN_FILES.is_dir():
            threading.Thread(target=self._watch, name="slow-readers", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(self._timeout_seconds / SWEEPS_IN_A_TIMEOUT)
            self.sweep(time.monotonic())

    def sweep(self, now: float) -> None:
        """Look at every connection once, and cut those that were too slow for too long."""
        waits = {}
        for path in OPEN_FILES.iterdir():
            # Any of them may be closed at any time; a copy of the descriptor stays what it is.
            with contextlib.suppress(OSError):
                if not path.is_socket():
                    continue
                with socket.socket(fileno=os.dup(int(path.name))) as connection:
                    if connection.family not in {socket.AF_INET, socket.AF_INET6}:
                        continue
                    inode = os.fstat(connection.fileno()).st_ino
                    wait = self._wait_of(connection, self._waits.get(inode), now)
                    if wait is not None:
                        waits[inode] = wait
        self._waits = waits

    def _wait_of(self, connection: socket.socket, before: Wait | None, now: float) -> Wait | None:
        """What to remember of a connection; it is cut if it made the server wait for too long."""
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
        (unsent,) = NOTSENT_BYTES.unpack(info)
        (bytes_taken,) = BYTES_ACKED.unpack_from(info)
        if unsent == 0:
            return None
        if before is None or not before.is_too_slow(now, bytes_taken):
            return Wait(now, bytes_taken)
        if now - before.since >= self._timeout_seconds:
            # Without this the system would go on offering what was not taken.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            connection.shutdown(socket.SHUT_RDWR)
            return None
        return before
