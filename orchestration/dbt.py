"""Running dbt inside this process: one start, one parse, and the warehouse free again after."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.settings import CHECKOUT, Settings

PROJECT = CHECKOUT / "dbt_project"
TARGET = PROJECT / "target"
MANIFEST = TARGET / "manifest.json"

_PARSED = TARGET / "partial_parse.msgpack"
_PARSED_FROM = TARGET / "parsed_from"


class DbtFailed(Exception):
    """dbt could not do what it was asked to, or a data test failed; the message says which."""


@dataclass(frozen=True)
class NodeResult:
    """What came of one model, seed or test. `failures` counts the rows that a test objects to."""

    unique_id: str
    status: str
    seconds: float
    failures: int | None
    message: str | None

    @property
    def is_ok(self) -> bool:
        return self.status in {"success", "pass", "no-op"}


def project_fingerprint() -> str:
    """A hash of everything that decides what the models compute."""
    digest = hashlib.sha256((CHECKOUT / "profiles.yml").read_bytes())
    for path in sorted(PROJECT.rglob("*")):
        if path.is_file() and TARGET not in path.parents and path.suffix != ".log":
            digest.update(str(path.relative_to(PROJECT)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def prepare_manifest() -> Path:
    """Parse the project unless that was done since it last changed. Returns the manifest's path."""
    fingerprint = project_fingerprint()
    if (
        MANIFEST.exists()
        and _PARSED.exists()
        and _PARSED_FROM.exists()
        and _PARSED_FROM.read_text() == fingerprint
    ):
        return MANIFEST
    _invoke(["parse", "--target-path", str(TARGET), "--no-partial-parse"], manifest=None)
    _PARSED_FROM.write_text(fingerprint)
    return MANIFEST


def build(
    settings: Settings, *, select: Sequence[str], exclude: Sequence[str], full_refresh: bool
) -> list[NodeResult]:
    """Build the selected models and run their tests. Never raises for a failed node.

    Raises `DbtFailed` where dbt itself could not go on.
    """
    from dbt.contracts.graph.manifest import Manifest

    prepare_manifest()
    manifest = Manifest.from_msgpack(_PARSED.read_bytes())
    # What `graph` is in a macro; parsing leaves it, reading the parsed file back does not.
    manifest.build_flat_graph()  # type: ignore[no-untyped-call]  # dbt has no types
    with _environment(
        WAREHOUSE_PATH=str(settings.warehouse),
        WAREHOUSE_MEMORY=settings.memory_limit,
        WAREHOUSE_SCRATCH=str(settings.scratch),
    ):
        result = _invoke(
            [
                "build",
                "--target-path",
                str(settings.dbt_target),
                "--select",
                *select,
                # Those are about the SQL, not about the data: `make test` runs them.
                "--exclude-resource-type",
                "unit_test",
                # Nobody reads the manifest of a run, and writing it takes a tenth of a small one.
                "--no-write-json",
                *(["--exclude", *exclude] if exclude else []),
                *(["--full-refresh"] if full_refresh else []),
            ],
            manifest=manifest,
        )
    return [
        NodeResult(
            node.node.unique_id,
            str(node.status),
            node.execution_time,
            node.failures,
            node.message,
        )
        for node in result.results
    ]


def _invoke(arguments: list[str], manifest: Any) -> Any:
    from dbt.cli.main import dbtRunner

    settings_of_every_call = [
        "--project-dir",
        str(PROJECT),
        "--profiles-dir",
        str(CHECKOUT),
        "--log-level",
        "warn",
        "--log-level-file",
        "none",
        "--no-use-colors",
        "--no-send-anonymous-usage-stats",
        "--no-version-check",
    ]
    try:
        outcome = dbtRunner(manifest=manifest).invoke([*arguments, *settings_of_every_call])
    finally:
        _release_warehouse()
    if outcome.exception is not None and not isinstance(outcome.exception, Exception):
        # A signal stopped it, which is for the whole run to say.
        raise outcome.exception
    if outcome.exception is not None:
        raise DbtFailed(f"dbt {arguments[0]}: {outcome.exception}") from outcome.exception
    return outcome.result


def _release_warehouse() -> None:
    """Close the database that dbt keeps open in its process even after a run is over."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    environment = DuckDBConnectionManager._ENV
    if environment is not None:
        environment.close()
        DuckDBConnectionManager._ENV = None


@contextlib.contextmanager
def _environment(**values: str) -> Any:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
