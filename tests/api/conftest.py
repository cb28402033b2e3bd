"""A published sample, and apps over it."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi.testclient import TestClient

import snapshot_fixture
from api.app import create_app
from api.auth.keys import KeyStore
from api.settings import ServingSettings
from service_fixture import Service, StartService


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartService]:
    """Starts an app over `tmp_path` with some settings; by default nothing is published."""
    services: list[Service] = []

    def start_service(**settings: Any) -> Service:
        given = {"home": tmp_path, "now": snapshot_fixture.NOW, "rate_limit": 10_000, **settings}
        made = ServingSettings(_env_file=None, **given)
        log = io.StringIO()
        logger = structlog.wrap_logger(
            structlog.WriteLogger(log),
            processors=[
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
        app = create_app(made, log=logger)
        client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
        client.__enter__()
        services.append(Service(app, client, made, KeyStore(made.keys_path), log))
        return services[-1]

    yield start_service
    for service in services:
        service.client.__exit__(None, None, None)


@pytest.fixture
def service(start: StartService, tmp_path: Path) -> Service:
    """An app over the published sample."""
    snapshot_fixture.publish(tmp_path, snapshot_fixture.sample())
    return start()
