"""Settings of the serving side, read from the environment (`AGENTSTATS_*`) or `.env`."""

import re
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.installation import default_home, environment_file

ORIGIN = re.compile(
    r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?|https?://\[[0-9a-f:.]+\](:[0-9]{1,5})?"
)
LOGO_KINDS = (".svg", ".png", ".jpg", ".jpeg", ".webp")
THEME_KINDS = (".css",)


class ServingSettings(BaseSettings):
    """What the API needs to know; `orchestration` adds its own settings to these."""

    model_config = SettingsConfigDict(
        env_prefix="AGENTSTATS_",
        env_file=environment_file(),
        extra="ignore",
    )

    home: Path = Field(
        default_factory=default_home,
        description="Folder of everything that is stored: snapshots, keys, landing, lake.",
    )
    now: datetime | None = Field(
        default=None,
        description="A fixed clock, ISO 8601; a time without an offset is UTC. Unset: wall clock.",
    )
    host: str = Field(default="127.0.0.1", description="Address that the API listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port that the API listens on.")
    rate_limit: int = Field(default=60, ge=1, description="Requests a minute for each customer.")
    wrong_keys_limit: int = Field(
        default=120, ge=1, description="Wrong keys a minute for each address."
    )
    workers: int = Field(default=1, ge=1, le=64, description="Worker processes of the API.")
    query_timeout_seconds: float = Field(
        default=10.0, gt=0, le=600, description="After this a query is stopped and answered by 503."
    )
    query_memory_mb: int = Field(
        default=512, ge=64, description="Memory that DuckDB may use for queries, in each worker."
    )
    query_threads: int = Field(
        default=2, ge=1, le=64, description="Threads that DuckDB may use, in each worker."
    )
    answer_cache_mb: int = Field(
        default=64, ge=0, description="Memory for answers given before, in each worker; 0: none."
    )
    rows_cache_mb: int = Field(
        default=128,
        ge=0,
        description="Memory for customers' rows to answer from, in each worker; 0: each question"
        " is a query.",
    )
    header_timeout_seconds: int = Field(
        default=10,
        ge=1,
        le=60,
        description="A connection that sends no whole request header for so long is cut.",
    )
    answer_timeout_seconds: int = Field(
        default=10,
        ge=1,
        le=600,
        description="A connection whose client takes nothing of its answers for so long"
        " is cut (Linux).",
    )
    shutdown_timeout_seconds: int = Field(
        default=30, ge=1, le=600, description="Time that running requests get when the API stops."
    )

    jwt_secret: SecretStr | None = Field(
        default=None,
        description="Secret of at least 32 bytes that the platform signs its users' tokens with"
        " (JWT, HS256). Unset, and no key file either: no tokens.",
    )
    jwt_jwks_file: Path | None = Field(
        default=None,
        description="JWKS file with the public keys of the platform's tokens, instead of a secret;"
        " read again when it is replaced.",
    )
    jwt_issuer: str | None = Field(
        default=None, min_length=1, description="`iss` that a token must have. Unset: any or none."
    )
    jwt_audience: str | None = Field(
        default=None,
        min_length=1,
        description="`aud` that a token must have. Unset: a token that has one is refused.",
    )
    jwt_cookie: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$",
        description="Name of a cookie that a token may come in. Unset: Authorization alone.",
    )
    jwt_leeway_seconds: int = Field(
        default=60,
        ge=0,
        le=300,
        description="Seconds by which the clocks of who signs tokens and of this server may"
        " differ.",
    )

    cors_origins: str | None = Field(
        default=None,
        description="Origins whose pages may read the API in a browser, like"
        " https://app.example.com, with commas between. Unset: none.",
    )
    frame_ancestors: str | None = Field(
        default=None,
        description="Origins whose pages may embed the dashboard in a frame, with commas between."
        " Unset: none.",
    )
    dashboard_title: str | None = Field(
        default=None,
        min_length=1,
        max_length=80,
        description="What the dashboard calls itself. Unset: agentstats.",
    )
    dashboard_logo: Path | None = Field(
        default=None,
        description="SVG, PNG, JPEG or WebP file of the dashboard's logo. Unset: its own.",
    )
    dashboard_theme: Path | None = Field(
        default=None,
        description="CSS file that sets the dashboard's variables anew. Unset: its own colours.",
    )

    @field_validator("cors_origins", "frame_ancestors")
    @classmethod
    def _origins(cls, text: str | None) -> str | None:
        origins = [] if text is None else text.replace(",", " ").split()
        wrong = next((each for each in origins if not ORIGIN.fullmatch(each.lower())), None)
        if wrong is not None:
            raise ValueError(
                f"{wrong[:80]!r} is no origin: give scheme, host and port alone, like"
                " https://app.example.com; there is no wildcard"
            )
        return ",".join(map(_as_browsers_send_it, origins)) or None

    @field_validator("dashboard_logo", "dashboard_theme")
    @classmethod
    def _of_a_known_kind(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is None:
            return None
        kinds = LOGO_KINDS if info.field_name == "dashboard_logo" else THEME_KINDS
        if file.suffix.lower() not in kinds:
            raise ValueError(f"it has to end in {', '.join(kinds)}")
        file = file.expanduser().absolute()
        if not file.is_file():
            raise ValueError("there is no such file")
        return file

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and len(secret.get_secret_value().encode()) < 32:
            raise ValueError("a secret has at least 32 bytes")
        return secret

    @field_validator("jwt_jwks_file")
    @classmethod
    def _instead_of_a_secret(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is not None and info.data.get("jwt_secret") is not None:
            raise ValueError("set this or AGENTSTATS_JWT_SECRET, not both")
        return None if file is None else file.expanduser().absolute()

    @field_validator("home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("now")
    @classmethod
    def _in_utc(cls, now: datetime | None) -> datetime | None:
        if now is None:
            return None
        return now.replace(tzinfo=UTC) if now.tzinfo is None else now.astimezone(UTC)

    @property
    def takes_tokens(self) -> bool:
        """Whether there is anything to verify the platform's tokens with."""
        return self.jwt_secret is not None or self.jwt_jwks_file is not None

    @property
    def cors_allowed(self) -> tuple[str, ...]:
        """Origins whose pages may read the API, as browsers send them."""
        return tuple(self.cors_origins.split(",")) if self.cors_origins else ()

    @property
    def frames_allowed(self) -> tuple[str, ...]:
        """Origins whose pages may embed the dashboard, as browsers send them."""
        return tuple(self.frame_ancestors.split(",")) if self.frame_ancestors else ()

    @property
    def snapshots_folder(self) -> Path:
        """Folder with the published snapshots and the file CURRENT."""
        return self.home / "snapshots"

    @property
    def keys_path(self) -> Path:
        """SQLite file of the API keys."""
        return self.home / "keys.db"

    def clock(self) -> datetime:
        """Now, aware and in UTC: `AGENTSTATS_NOW` where it is set, else the wall clock."""
        return self.now if self.now is not None else datetime.now(UTC)


def _as_browsers_send_it(origin: str) -> str:
    """An origin in lower case and without the port that its scheme has anyway."""
    origin = origin.lower()
    if origin.startswith("https:"):
        return origin.removesuffix(":443")
    return origin.removesuffix(":80")
