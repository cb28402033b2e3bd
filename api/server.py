"""The web server around the app."""

import gc
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server import Server

from api.app import create_app
from api.settings import ServingSettings
from api.slow_readers import SlowReaders


def serve(settings: ServingSettings, *, factory: Callable[..., FastAPI] = create_app) -> None:
    """Serve the API until SIGINT or SIGTERM; running requests are finished first.

    Each worker makes its app with `factory`, from the settings and, where there are several, the
    `counts_folder` that they share.
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
    load = partial(_load, factory, settings)
    with ExitStack() as until_the_end:
        if settings.workers > 1:
            folder = until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="agentstats-"))
            load = partial(load, counts_folder=Path(folder))
        server.serve(target_loader=load, wrap_loader=False)


def _load(
    factory: Callable[..., FastAPI], settings: ServingSettings, **counts_folder: Path
) -> FastAPI:
    """What a worker does first."""
    SlowReaders(settings.answer_timeout_seconds).watch()
    app = factory(settings, **counts_folder)
    # What was imported and made stays: to look through it for garbage again and again would hold up
    # every request of that moment.
    gc.collect()
    gc.freeze()
    return app
