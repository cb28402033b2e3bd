"""Running dbt inside this process: one start, one parse, and the warehouse free again after."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import structlog

from api.installation import dbt_project, parsed_ahead, project_root
from orchestration.errors import AgentstatsError
from orchestration.settings import Settings
from orchestration.warehouse.spark.connection import profile_variables

PROJECT = dbt_project()

_DECISIVE_FOLDERS = ("models", "macros", "seeds", "data_tests")
_DECISIVE_SUFFIXES = {".sql", ".yml", ".csv", ".md"}

_MANIFEST = "manifest.json"
_PARSED = "partial_parse.msgpack"
_PARSED_FROM = "parsed_from"

# The tag of seeds and tables that change with the models only.
CONSTANT = "constant"

# What says to the project's macros that a run has handed over what they build.
_HANDED_OVER = {"WAREHOUSE_HANDED_OVER": "yes"}

log = structlog.get_logger()


class DbtFailed(AgentstatsError):
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
    """A hash of everything that decides what the models compute, and of nothing that a dbt command
    leaves in the project's folder."""
    digest = hashlib.sha256((project_root() / "profiles.yml").read_bytes())
    files = [PROJECT / "dbt_project.yml"]
    for folder in _DECISIVE_FOLDERS:
        files += sorted(
            path for path in (PROJECT / folder).rglob("*") if path.suffix in _DECISIVE_SUFFIXES
        )
    for path in files:
        digest.update(str(path.relative_to(PROJECT)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def prepare_manifest(settings: Settings) -> Path:
    """Parse the project unless that was done since it last changed. Returns the manifest's path.

    It is the one for DuckDB: what the models mean is the same on every engine.
    """
    return parse_into(_parsed_for_duckdb(settings))


def manifest_path(settings: Settings) -> Path:
    """Where `prepare_manifest` finds or makes the manifest. Parses nothing."""
    return _parsed_for_duckdb(settings) / _MANIFEST


def parse_into(folder: Path) -> Path:
    """Parse the project for DuckDB, unless the folder has that. Returns the manifest's path.

    With `api.installation.parsed_ahead()` it is done once for all home folders.
    """
    _parse(folder, ["--target", "duckdb"], _parsed_from("duckdb"))
    return folder / _MANIFEST


def _parsed_for_duckdb(settings: Settings) -> Path:
    """What was parsed ahead, where it is of this project and this dbt; else the home folder's."""
    ahead = parsed_ahead()
    if _is_parsed(ahead, _parsed_from("duckdb")):
        return ahead
    return settings.dbt_target / "duckdb"


def _parsed_from(engine: str) -> str:
    """What a parse follows from: the project, and dbt, whose macros and forms are in it too."""
    packages = ("dbt-core", "dbt-adapters", f"dbt-{engine}")
    versions = [f"{package} {metadata.version(package)}" for package in packages]
    return " ".join([project_fingerprint(), *versions])


def _parse(folder: Path, arguments: Sequence[str], parsed_from: str) -> Path:
    """Parse into `folder` unless it holds what was parsed from the same. Returns that file."""
    if not _is_parsed(folder, parsed_from):
        folder.mkdir(parents=True, exist_ok=True)
        # One at a time: dbt writes into the file itself, and two at once would mix theirs. The
        # kernel frees the place of a process that ends, however it ends.
        with (folder / ".parsing.lock").open("w") as place:
            fcntl.flock(place, fcntl.LOCK_EX)
            if not _is_parsed(folder, parsed_from):
                _invoke(["parse", "--no-partial-parse", *arguments], folder=folder, manifest=None)
                (folder / _PARSED_FROM).write_text(parsed_from)
    return folder / _PARSED


def _is_parsed(folder: Path, parsed_from: str) -> bool:
    files = [folder / name for name in (_MANIFEST, _PARSED, _PARSED_FROM)]
    return all(file.exists() for file in files) and files[-1].read_text() == parsed_from


def build(
    settings: Settings, *, select: Sequence[str], exclude: Sequence[str], full_refresh: bool
) -> list[NodeResult]:
    """Build the selected models and run their tests. Never raises for a failed node.

    Raises `DbtFailed` where dbt itself could not go on.
    """
    result = _invoke_parsed(
        settings,
        [
            "build",
            "--select",
            *select,
            # Those are about the SQL, not about the data: `make test` runs them.
            "--exclude-resource-type",
            "unit_test",
            # Nothing reads the manifest of a run, and writing it takes a tenth of a small one.
            "--no-write-json",
            *(["--exclude", *exclude] if exclude else []),
            *(["--full-refresh"] if full_refresh else []),
        ],
    )
    return [
        NodeResult(
            node.node.unique_id,
            str(node.status),
            node.execution_time,
            node.failures,
            node.message and _without_stack_trace(node.message),
        )
        for node in result.results
    ]


def run_operation(settings: Settings, macro: str) -> None:
    """Run a macro of the project by itself. Raises `DbtFailed`."""
    result = _invoke_parsed(settings, ["run-operation", macro])
    for node in result.results:
        if node.status != "success":
            raise DbtFailed(f"dbt {macro}: {node.message}")


def tables_built_whole(settings: Settings) -> list[tuple[str, str]]:
    """(schema, table) of the seeds and models that hold no dates: dropped, they are made anew."""
    return [
        (node["schema"], node["alias"])
        for node in _relations(settings)
        if node["config"]["materialized"] in {"table", "seed"}
    ]


def built_once(settings: Settings) -> list[tuple[str, str]]:
    """(schema, view or table) of the seeds and models that follow from the models alone."""
    return [
        (node["schema"], node["alias"])
        for node in _relations(settings)
        if node["config"]["materialized"] == "view" or CONSTANT in node["tags"]
    ]


def _relations(settings: Settings) -> list[dict[str, Any]]:
    """The models and seeds, as the manifest has them."""
    with _environment(**_profile(settings)):
        nodes = json.loads(_parsed(settings).with_name(_MANIFEST).read_text())["nodes"].values()
    return [node for node in nodes if node["resource_type"] in {"model", "seed"}]


def _invoke_parsed(settings: Settings, arguments: Sequence[str]) -> Any:
    """Run dbt on the settings' engine, without parsing anew."""
    from dbt.contracts.graph.manifest import Manifest
    from dbt.contracts.graph.nodes import SeedNode

    arguments = [*arguments, "--target", settings.engine]
    with _environment(**_profile(settings)):
        manifest = Manifest.from_msgpack(_parsed(settings).read_bytes())
        # dbt looks for seeds where they were parsed: a wheel's were, in the folder of its build.
        for node in manifest.nodes.values():
            if isinstance(node, SeedNode):
                node.root_path = str(PROJECT)
        # What `graph` is in a macro; parsing leaves it, reading the parsed file back does not.
        manifest.build_flat_graph()  # type: ignore[no-untyped-call]  # dbt has no types
        return _invoke(arguments, folder=settings.dbt_target, manifest=manifest)


def _parsed(settings: Settings) -> Path:
    """The project as parsed for the settings' engine."""
    if settings.engine == "duckdb":
        return prepare_manifest(settings).with_name(_PARSED)
    # The names of relations are parsed in, and begin with that of the schema.
    return _parse(
        settings.dbt_target / settings.engine,
        ["--target", settings.engine],
        f"{_parsed_from('spark')} {settings.spark_schema}",
    )


def _profile(settings: Settings) -> dict[str, str]:
    """The variables that profiles.yml and the macros read."""
    if settings.engine == "spark":
        return {**_HANDED_OVER, **profile_variables(settings)}
    return {
        **_HANDED_OVER,
        "WAREHOUSE_PATH": str(settings.warehouse),
        "WAREHOUSE_MEMORY": settings.memory_limit,
        "WAREHOUSE_SCRATCH": str(settings.scratch),
    }


def _invoke(arguments: Sequence[str], *, folder: Path, manifest: Any) -> Any:
    """Run dbt, which writes below `folder` and nowhere else."""
    from dbt.cli.main import dbtRunner

    settings_of_every_call = [
        "--project-dir",
        str(PROJECT),
        "--profiles-dir",
        str(project_root()),
        "--target-path",
        str(folder),
        # It makes the folder of its log, whether it writes one or not.
        "--log-path",
        str(folder),
        # Its own logger words and scrubs each of some 2,000 messages of a run, to write none.
        "--log-level",
        "none",
        "--log-level-file",
        "none",
        "--no-use-colors",
        "--no-send-anonymous-usage-stats",
        "--no-version-check",
    ]
    try:
        outcome = dbtRunner(manifest=manifest, callbacks=[_log]).invoke(
            [*arguments, *settings_of_every_call]
        )
    finally:
        _release_warehouse()
    if outcome.exception is not None and not isinstance(outcome.exception, Exception):
        # A signal stopped it, which is for the whole run to say.
        raise outcome.exception
    if outcome.exception is not None:
        problem = _without_stack_trace(str(outcome.exception))
        raise DbtFailed(f"dbt {arguments[0]}: {problem}") from outcome.exception
    return outcome.result


def _log(event: Any) -> None:
    """Pass on what dbt warns of; what fails is in the results, or raised."""
    if event.info.level == "warn":
        log.warning("dbt", message=event.info.msg)


def _without_stack_trace(message: str) -> str:
    """What went wrong, without where in Spark it did."""
    return "\n".join(
        line
        for line in message.split("\n")
        if not line.lstrip().startswith(("at ", "... ", "Caused by:"))
    )


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
