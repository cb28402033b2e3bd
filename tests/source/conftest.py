"""A server for the session, and an installation that reads from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from installation import Installation
from source.server import Server, empty_platform, running_server


@pytest.fixture(scope="session")
def _running() -> Iterator[Server]:
    with running_server() as server:
        yield server


@pytest.fixture
def server(_running: Server) -> Server:
    """A server with the platform's tables, empty but for the names."""
    empty_platform(_running)
    return _running


@pytest.fixture
def platform(server: Server, installation: Installation) -> Installation:
    """An installation that reads from the server, as the role `reader`."""
    installation.environment.setenv("AGENTSTATS_POSTGRES_URL", server.reader_url)
    return installation
