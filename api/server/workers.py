"""The web server around the app."""

import gc
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.mp import MPServer

from api.app import create_app
from api.server.listening import listening_socket
from api.settings import ServingSettings

BACKLOG = 1024
STOPPING = (signal.SIGINT, signal.SIGTERM)
ORPHAN_SECONDS = 0.5


class ServerOfOneSocket(MPServer):
    """The web server, on a socket that all its workers share.

    By itself each of its workers opens the port anew, beside whoever listens there already.
    """

    _sso: Any
    _sfd: Any
    _shd: Any

    def __init__(self, opened: socket.socket, **options: Any) -> None:
        self._opened = opened
        address, port, *_ = opened.getsockname()
        super().__init__("api.app:create_app", address=address, port=port, **options)

    def _init_shared_socket(self) -> None:
        self._sso = self._opened
        self._sfd = self._opened.fileno()
        # Its stub has no constructor. False: the socket has no path.
        self._shd = SocketHolder(self._sfd, False, BACKLOG)  # type: ignore[call-arg]


def serve(settings: ServingSettings, *, factory: Callable[..., FastAPI] = create_app) -> None:
    """Serve the API until SIGINT or SIGTERM; running requests are finished first.

    Each worker makes its app with `factory`, from the settings and, where there are several, the
    `counts_folder` that they share.
    Blocks. Must be called in the main thread, which takes the signals. Raises CannotListen.
    """
    server = ServerOfOneSocket(
        listening_socket(
            settings.host,
            settings.port,
            backlog=BACKLOG,
            answer_timeout_seconds=settings.answer_timeout_seconds,
        ),
        backlog=BACKLOG,
        interface=Interfaces.ASGI,
        factory=True,
        workers=settings.workers,
        workers_kill_timeout=settings.shutdown_timeout_seconds,
        respawn_failed_workers=True,
        # While it still guesses between HTTP/1 and HTTP/2, a silent connection stays for ever.
        http=HTTPModes.http1,
        websockets=False,
        http1_settings=HTTP1Settings(
            header_read_timeout=settings.header_timeout_seconds * 1000,
            max_buffer_size=64 * 1024,
        ),
        log_access=False,  # the app writes its own line, which never holds a key
    )
    # The settings themselves, not the environment they came from: a caller may have changed them.
    load = partial(_load, factory, settings, os.getpid())
    _let_new_workers_be_stopped()
    with ExitStack() as until_the_end:
        if settings.workers > 1:
            folder = until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="agentstats-"))
            load = partial(load, counts_folder=Path(folder))
        server.serve(target_loader=load, wrap_loader=False)


def _let_new_workers_be_stopped() -> None:
    """Have a signal end a worker that has not made its own arrangements yet.

    Until then it would do what the main process does, which is to note that a signal came; the
    worker would go on, and the main process wait for it.
    """

    def hold_signals() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)

    def let_signals_through() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)

    def let_signals_end_this_process() -> None:
        for each in STOPPING:
            signal.signal(each, signal.SIG_DFL)
        let_signals_through()

    os.register_at_fork(
        before=hold_signals,
        after_in_parent=let_signals_through,
        after_in_child=let_signals_end_this_process,
    )


def _load(
    factory: Callable[..., FastAPI],
    settings: ServingSettings,
    main_process: int,
    **counts_folder: Path,
) -> FastAPI:
    """What a worker does first."""
    _end_with(main_process, settings.shutdown_timeout_seconds)
    app = factory(settings, **counts_folder)
    # What was imported and made stays: to look through it for garbage again and again would hold up
    # every request of that moment.
    gc.collect()
    gc.freeze()
    return app


def _end_with(main_process: int, shutdown_timeout_seconds: int) -> None:
    """End this worker in the way of SIGTERM once the process that would send it is gone."""

    def watch() -> None:
        while os.getppid() == main_process:
            time.sleep(ORPHAN_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(shutdown_timeout_seconds)
        os._exit(1)

    threading.Thread(target=watch, name="main-process", daemon=True).start()
