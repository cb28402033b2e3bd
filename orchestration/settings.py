"""Settings of the pipeline: everything that the API reads, and what the jobs need besides."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

from dotenv import dotenv_values
from pydantic import Field, ValidationError

from api.settings import ServingSettings

CHECKOUT = Path(__file__).resolve().parent.parent
PREFIX = "AGENTSTATS_"


class SettingsError(Exception):
    """A setting is unknown or wrong; the message names it and says what is allowed."""


class Settings(ServingSettings):
    """What `AGENTSTATS_*` variables and `.env` may say to the jobs and the command line."""

    engine: Literal["duckdb"] = Field(
        default="duckdb", description="What runs the dbt models: duckdb."
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
    memory_limit: str = Field(
        default="4GB",
        pattern=r"^\d+(\.\d+)?\s?[KMG]i?B$",
        description="Memory that DuckDB may use in a job before it spills to disk.",
    )
    max_unpacked_gb: float = Field(
        default=2,
        gt=0,
        description="Gigabytes that a gzipped landing file may unpack to, or it is set aside.",
    )
    lock_wait_seconds: float = Field(
        default=0,
        ge=0,
        description="Seconds that a run waits for another one to end before it gives up.",
    )

    @cached_property
    def landing(self) -> Path:
        return self.home / "landing"

    @cached_property
    def lake(self) -> Path:
        return self.home / "lake"

    @cached_property
    def warehouse(self) -> Path:
        return self.home / "warehouse.duckdb"

    @cached_property
    def ledger_path(self) -> Path:
        return self.home / "ledger.db"

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


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment, and from `.env` in the checkout where that is silent.

    Raises `SettingsError` that names every variable that is unknown or wrong.
    """
    given = {
        **{
            key: value
            for key, value in dotenv_values(CHECKOUT / ".env").items()
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
                f"{PREFIX}{str(problem['loc'][0]).upper()}: {problem['msg']}"
                f" (it is {problem['input']!r})"
                for problem in error.errors()
            )
        ) from error
