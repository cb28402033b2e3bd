"""The web server around the app."""

from collections.abc import Callable
from functools import partial

from fastapi import FastAPI
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server import Server

from api.app import create_app
from api.settings import ServingSettings


def serve(
    settings: ServingSettings, *, factory: Callable[[ServingSettings], FastAPI] = create_app
) -> None:
    """Serve the API until SIGINT or SIGTERM; running requests are finished first.

    Each worker makes its app with `factory`.
    Blocks. Must be called in the main thread, which takes the signals.
    """
    server = Server(
        "api.app:create_app",
        address=settings.host,
        port=settings.port,
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
    server.serve(target_loader=partial(factory, settings), wrap_loader=False)
