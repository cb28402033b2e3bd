"""Settings of the pipeline: everything that the API reads, and what the jobs need besides."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, Json, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails

from api.installation import environment_file
from api.settings import ServingSettings
from orchestration.contract.source_url import SourceUrl, parse_url
from orchestration.contract.streams import EVENT_STREAMS, STREAMS_BY_NAME
from orchestration.errors import WRONG_SETTINGS, AgentstatsError

PREFIX = "AGENTSTATS_"
MOST_ATTRIBUTES = 8
ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class SettingsError(AgentstatsError):
    """A setting is unknown or wrong; the message names it and says what is allowed."""

    exit_code = WRONG_SETTINGS
    about = "setting"


class Settings(ServingSettings):
    """What `AGENTSTATS_*` variables and `.env` may say to the jobs and the command line."""

    engine: Literal["duckdb", "spark"] = Field(
        default="duckdb",
        description="What runs the dbt models: duckdb, or spark (docs/scaling.md).",
    )
    toxicity_threshold: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="A scan without is_toxic is toxic from this toxicity_score on (0 to 1).",
    )
    archive_days: int = Field(
        default=0,
        ge=0,
        description="Days that a landed file is kept in landing/_loaded after its load.",
    )
    snapshots_kept: int = Field(
        default=3, ge=1, description="Published snapshots kept, the newest included."
    )
    retention_max_delete_fraction: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Part of all rows (0 to 1) that a nightly run may delete; above it, it stops.",
    )
    memory_limit: str = Field(
        default="4GB",
        pattern=r"^\d+(\.\d+)?\s?[KMG]i?B$",
        description="Memory that DuckDB may use in a job before it spills to disk.",
    )
    max_unpacked_gb: float = Field(
        default=2,
        gt=0,
        description="Gigabytes that a packed landing file may unpack to, or it is set aside.",
    )
    extra: Literal["keep", "drop"] = Field(
        default="keep",
        description="What becomes of columns that a stream does not have: keep their numbers, "
        "booleans and texts of at most 256 characters in the lake, or drop them.",
    )
    attributes: str = Field(
        default="",
        description="Attributes that usage is also summed by, at most 8 names with commas between, "
        "like environment,team. Another list rebuilds all marts from the lake.",
    )
    landing_timeout_seconds: float = Field(
        default=1800,
        gt=0,
        description="Seconds that a landing file may take to be read, or it is set aside.",
    )
    reject_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Part of a stream's rows (0 to 1) that a run may reject before it ends with 3.",
    )
    landing_temp_gb: float = Field(
        default=50,
        gt=0,
        description="Gigabytes of temporary files that a landing file may take, or it is set "
        "aside.",
    )
    lock_wait_seconds: float = Field(
        default=0,
        ge=0,
        description="Seconds that a run waits for another one to end before it gives up.",
    )
    run_timeout_seconds: int = Field(
        default=21_600,
        ge=60,
        description="A run that takes longer is stopped by Dagster's daemon, and counts as failed.",
    )
    arrival_interval_seconds: int = Field(
        default=300,
        ge=0,
        description="Least seconds between the start of a run and one that arriving files start; "
        "0: files wait for the schedule.",
    )
    freshness_hours: float = Field(
        default=24,
        gt=0,
        description="Data older than that counts as stopped: its checks turn red.",
    )
    failure_webhook_url: SecretStr | None = Field(
        default=None,
        description="Address that gets a POST when a run fails or data stops; kept out of logs.",
    )
    dagster_history_days: int = Field(
        default=30, ge=1, description="Days that Dagster keeps runs, ticks and checks."
    )

    @field_validator("attributes")
    @classmethod
    def _names_of_attributes(cls, names: str) -> str:
        listed = _listed(names)
        if len(listed) > MOST_ATTRIBUTES:
            raise ValueError(f"must be {MOST_ATTRIBUTES} names at most")
        if wrong := [name for name in listed if not ATTRIBUTE_NAME.fullmatch(name)]:
            raise ValueError(f"{wrong[0]!r} must be 1 to 64 letters, digits and signs of _ . -")
        if len(set(listed)) < len(listed):
            raise ValueError("must have each name once")
        return names

    @property
    def attribute_names(self) -> list[str]:
        """Names of the attributes that usage is also summed by."""
        return _listed(self.attributes)

    @field_validator("failure_webhook_url")
    @classmethod
    def _can_be_posted_to(cls, address: SecretStr | None) -> SecretStr | None:
        if address is None or not address.get_secret_value():
            return None
        parts = urlsplit(address.get_secret_value())
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an address like https://host/path")
        return address

    postgres_url: SecretStr | None = Field(
        default=None,
        description="A source database, postgresql://user:password@host/database. Unset: files "
        "only.",
    )
    postgres_tables: Json[dict[str, str | None]] = Field(
        default={},
        validate_default=False,
        description="Table or view of each stream whose name is another, like "
        '{"agents": "app.agents"}; null: not read.',
    )
    postgres_columns: Json[dict[str, dict[str, str]]] = Field(
        default={},
        validate_default=False,
        description="Source column of each contract column whose name is another, like "
        '{"agents": {"agent_name": "title"}}.',
    )
    postgres_xid_columns: Json[dict[str, str]] = Field(
        default={},
        validate_default=False,
        description="Column that carries the writing transaction (xid8), by stream, like "
        '{"audit_events": "written_by"}.',
    )
    postgres_statement_timeout_seconds: float = Field(
        default=600,
        gt=0,
        le=86400,
        description="After this the source database stops a statement of ours.",
    )
    postgres_chunk_rows: int = Field(
        default=1_000_000,
        ge=1000,
        description="Rows read from the source in one transaction, about.",
    )

    spark_host: str = Field(
        default="127.0.0.1", min_length=1, description="Host of Spark's Thrift server."
    )
    spark_port: int = Field(
        default=10_000, ge=1, le=65_535, description="Port of Spark's Thrift server."
    )
    spark_user: str = Field(
        default="agentstats", min_length=1, description="User at Spark's Thrift server."
    )
    spark_password: SecretStr | None = Field(
        default=None, description="Its password, where AGENTSTATS_SPARK_AUTH is LDAP."
    )
    spark_auth: Literal["NONE", "NOSASL", "LDAP", "KERBEROS"] = Field(
        default="NONE", description="How Spark's Thrift server knows the user."
    )
    spark_tls: bool = Field(default=False, description="Talk to the Thrift server by TLS.")
    spark_schema: str = Field(
        default="agentstats",
        pattern=r"^[a-z][a-z0-9_]*$",
        description="What names of our schemas on Spark begin with: agentstats_marts and so on.",
    )
    spark_home: str | None = Field(
        default=None,
        description="AGENTSTATS_HOME as every machine of the cluster calls it, like "
        "hdfs://namenode/agentstats. Unset: the same path, on a mount that all of them have.",
    )
    spark_threads: int = Field(
        default=4, ge=1, le=64, description="Models and tests that run on Spark at the same time."
    )

    @field_validator("spark_home")
    @classmethod
    def _absolute_uri(cls, uri: str | None) -> str | None:
        # As in .env.example: an empty value is none.
        if not uri:
            return None
        if not urlsplit(uri).scheme or "'" in uri or "`" in uri:
            raise ValueError("must be an address like hdfs://host/folder or file:///folder")
        return uri.rstrip("/")

    @field_validator("postgres_url")
    @classmethod
    def _readable_url(cls, url: SecretStr | None) -> SecretStr | None:
        # As in .env.example: an empty value is none.
        if url is None or not url.get_secret_value():
            return None
        parse_url(url.get_secret_value())
        return url

    @field_validator("postgres_tables")
    @classmethod
    def _of_streams(cls, tables: dict[str, str | None]) -> dict[str, str | None]:
        _refuse_unknown(tables, set(STREAMS_BY_NAME), "stream")
        return tables

    @field_validator("postgres_columns")
    @classmethod
    def _of_columns(cls, columns: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        _refuse_unknown(columns, set(STREAMS_BY_NAME), "stream")
        for stream, mapping in columns.items():
            known = {column.name for column in STREAMS_BY_NAME[stream].columns}
            _refuse_unknown(mapping, known, f"column of {stream}")
        return columns

    @field_validator("postgres_xid_columns")
    @classmethod
    def _of_events(cls, by_stream: dict[str, str]) -> dict[str, str]:
        _refuse_unknown(by_stream, {stream.name for stream in EVENT_STREAMS}, "stream of events")
        return by_stream

    def source_url(self) -> SourceUrl:
        """The source database's URL. Raises `SettingsError` where there is none."""
        if self.postgres_url is None:
            raise SettingsError(
                "AGENTSTATS_POSTGRES_URL is not set; docs/postgresql.md says what goes there"
            )
        return parse_url(self.postgres_url.get_secret_value())

    @cached_property
    def landing(self) -> Path:
        return self.home / "landing"

    @cached_property
    def lake(self) -> Path:
        return self.home / "lake"

    @cached_property
    def quarantine(self) -> Path:
        """Files that were found in the lake and are not in the ledger."""
        return self.home / "quarantine"

    @cached_property
    def warehouse(self) -> Path:
        return self.home / "warehouse.duckdb"

    @cached_property
    def ledger_path(self) -> Path:
        return self.home / "ledger.db"

    @cached_property
    def identity_key_path(self) -> Path:
        """What ids of end users and sessions are hashed with."""
        return self.home / "identities.key"

    @cached_property
    def snapshots(self) -> Path:
        return self.home / "snapshots"

    @cached_property
    def scratch(self) -> Path:
        """Where a run spills; emptied at the start of each run."""
        return self.home / ".scratch"

    @cached_property
    def dagster_home(self) -> Path:
        return self.home / ".dagster"

    @cached_property
    def dbt_target(self) -> Path:
        return self.home / ".dbt"

    @cached_property
    def spark_tables(self) -> Path:
        """Where Spark keeps the tables that it builds."""
        return self.home / "spark"

    @cached_property
    def spark_exchange(self) -> Path:
        """What a run hands to Spark, and what Spark hands back; gone with the scratch folder."""
        return self.scratch / "spark"

    def as_spark_sees(self, path: Path) -> str:
        """The URI of a file or folder below the home folder, for the machines of the cluster."""
        home = self.spark_home or f"file://{self.home.absolute()}"
        return "/".join((home, *path.relative_to(self.home).parts))


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",")] if names.strip() else []


def _refuse_unknown(given: Mapping[str, object], known: set[str], what: str) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is no {what}; known are {', '.join(sorted(known))}")


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment, and from `.env` where that is silent.

    Raises `SettingsError` that names every variable that is unknown or wrong.
    """
    given = {
        **{
            key: value
            for key, value in dotenv_values(environment_file()).items()
            if value is not None
        },
        **(os.environ if environment is None else environment),
    }
    names = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    unknown = sorted(key for key in given if key.startswith(PREFIX) and key not in names)
    if unknown:
        raise SettingsError(
            f"unknown setting {', '.join(unknown)}; known are {', '.join(sorted(names))}"
        )
    values = {
        key.removeprefix(PREFIX).lower(): value for key, value in given.items() if key in names
    }
    try:
        return Settings(**values)  # type: ignore[arg-type]  # pydantic parses the texts
    except ValidationError as error:
        raise SettingsError(
            "; ".join(
                f"{PREFIX}{str(problem['loc'][0]).upper()}: {problem['msg']}{_as_given(problem)}"
                for problem in error.errors()
            )
            # Without the cause: it has the value that was given, and that may be a password.
        ) from None


# Settings whose value is never shown, not even where it is wrong.
_SECRETS = {
    name for name, field in Settings.model_fields.items() if field.annotation == SecretStr | None
}


def _as_given(problem: ErrorDetails) -> str:
    """What the setting was, unless that is a secret."""
    return "" if problem["loc"][0] in _SECRETS else f" (it is {problem['input']!r})"
