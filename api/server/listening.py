"""The port of the API: opened once, for this server alone, or refused with who has it."""

import errno
import re
import socket
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
LISTENING = "0A"  # a connection's state in /proc/net/tcp
SOCKET = re.compile(r"socket:\[(\d+)\]")
MAX_COMMAND_CHARACTERS = 120


class CannotListen(Exception):
    """The address cannot be listened on; the message says why, and what to do."""


def listening_socket(
    host: str, port: int, *, backlog: int, answer_timeout_seconds: int
) -> socket.socket:
    """A socket that listens on an address, which no other process can then. Raises CannotListen.

    A connection whose client takes nothing of its answers for `answer_timeout_seconds` is cut:
    the web server has no limit for this, Linux has.

    Without SO_REUSEPORT, which the web server would set: with it a second server starts on the same
    port, and each request is answered by one of the two.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        opened = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(
            f"{host} is no address: set AGENTSTATS_HOST to one of this machine ({error.strerror})"
        ) from error
    try:
        # Connections of a server that has just ended are not in the way; one that listens is.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # In milliseconds; each connection inherits it.
            opened.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, answer_timeout_seconds * 1000
            )
        opened.bind(address)
        opened.listen(backlog)
    except OSError as error:
        opened.close()
        raise CannotListen(_why(error, host, port)) from error
    return opened


def _why(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"port {port} is taken by {_who_listens(port)}: stop that, or set AGENTSTATS_PORT "
                "to another port"
            )
        case errno.EACCES:
            return f"port {port} is not open to this user: set AGENTSTATS_PORT to one above 1023"
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine: set AGENTSTATS_HOST to one that is"
        case _:
            return f"{host}, port {port}, cannot be listened on: {error.strerror}"


def _who_listens(port: int) -> str:
    """The processes that listen on a port, as far as this user may see them (Linux)."""
    inodes = _listening_inodes(port)
    found = sorted(
        int(process.name)
        for process in PROC.glob("[0-9]*")
        if inodes and inodes & _sockets_of(process)
    )
    if not found:
        return "a process that this user cannot see"
    # Workers share the socket of the process that started them, which came before them.
    return f"process {found[0]} ({_command(found[0])})"


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state, *others = line.split()
            if state == LISTENING and int(local.rsplit(":", 1)[1], 16) == port:
                inodes.add(others[5])
    return inodes


def _sockets_of(process: Path) -> set[str]:
    sockets = set()
    with suppress(OSError):  # another user's, or it has just ended
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                if found := SOCKET.fullmatch(str(descriptor.readlink())):
                    sockets.add(found[1])
    return sockets


def _command(pid: int) -> str:
    try:
        words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return "ended just now"
    return b" ".join(words).decode(errors="replace").strip()[:MAX_COMMAND_CHARACTERS]
