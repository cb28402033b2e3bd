"""An app under test, with what a test needs to look behind it."""

import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.auth.keys import KeyStore
from api.settings import ServingSettings


@dataclass
class Service:
    """An app with what a test needs to look behind it."""

    app: FastAPI
    client: TestClient
    settings: ServingSettings
    keys: KeyStore
    log: io.StringIO

    def key(self, customer_id: int) -> str:
        """A new key of a customer."""
        return self.keys.create(customer_id, "test")[1]

    def get(
        self, path: str, customer_id: int = 1, headers: dict[str, str] | None = None
    ) -> httpx2.Response:
        """GET with a key of a customer."""
        sent = {"X-API-Key": self.key(customer_id), **(headers or {})}
        answer: httpx2.Response = self.client.get(path, headers=sent)
        return answer

    def await_snapshot(self, snapshot_id: str) -> None:
        """Wait until requests are answered from this snapshot: another thread may be opening it."""
        snapshots = self.app.state.services.snapshots
        for _ in range(1000):
            snapshots.refresh()
            if snapshots.current and snapshots.current.snapshot_id == snapshot_id:
                return
            time.sleep(0.01)
        raise AssertionError(f"{snapshot_id} is not served: {snapshots.problem}")

    def log_lines(self) -> list[dict[str, Any]]:
        """The request log so far."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


StartService = Callable[..., Service]
