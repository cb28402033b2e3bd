"""How a run reaches Spark: what dbt's profile is given, and whether the Thrift server is there."""

from __future__ import annotations

import socket
from importlib.util import find_spec

from orchestration.errors import AgentstatsError
from orchestration.settings import Settings

_SECONDS_TO_CONNECT = 10


class SparkUnavailable(AgentstatsError):
    """There is no Spark to work with; the message says what to do."""


def profile_variables(settings: Settings) -> dict[str, str]:
    """The variables that the Spark target of profiles.yml and the macros of Spark read."""
    # As in .env.example: an empty value is none.
    password = (settings.spark_password and settings.spark_password.get_secret_value()) or None
    return {
        "SPARK_HOST": settings.spark_host,
        "SPARK_PORT": str(settings.spark_port),
        "SPARK_USER": settings.spark_user,
        "SPARK_AUTH": settings.spark_auth,
        "SPARK_TLS": str(settings.spark_tls),
        # As Python literals, which None needs.
        "SPARK_PASSWORD": repr(password),
        "SPARK_KERBEROS_SERVICE": repr("hive" if settings.spark_auth == "KERBEROS" else None),
        "SPARK_SCHEMA": settings.spark_schema,
        "SPARK_THREADS": str(settings.spark_threads),
        "SPARK_LAKE": settings.as_spark_sees(settings.lake),
        "SPARK_TABLES": settings.as_spark_sees(settings.spark_tables),
        "SPARK_EXCHANGE": settings.as_spark_sees(settings.spark_exchange),
    }


def cluster_of(settings: Settings) -> str:
    """Which tables on which cluster: those of another one know nothing of our last run."""
    return f"{settings.spark_host}:{settings.spark_port}/{settings.spark_schema}"


def check(settings: Settings) -> None:
    """Raise `SparkUnavailable` unless the extra is installed and the Thrift server listens."""
    if find_spec("dbt.adapters.spark") is None or find_spec("pyhive") is None:
        raise SparkUnavailable(
            "AGENTSTATS_ENGINE=spark needs the extra `spark`: "
            "pip install --require-hashes -r requirements-spark.lock"
        )
    address = (settings.spark_host, settings.spark_port)
    try:
        socket.create_connection(address, timeout=_SECONDS_TO_CONNECT).close()
    except OSError as error:
        raise SparkUnavailable(
            f"no Thrift server answers at {settings.spark_host}:{settings.spark_port} ({error}). "
            "What was published is served on; start it (`make spark-up` here) or set "
            "AGENTSTATS_SPARK_HOST and AGENTSTATS_SPARK_PORT, and run the job again"
        ) from error
