"""What needs no server: settings of the source, its URL, and what costs nothing without one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from installation import Installation
from orchestration.contract.source_url import parse_url
from orchestration.contract.streams import STREAMS
from orchestration.settings import SettingsError, read_settings
from orchestration.source.columns import accepted_types
from published_demo import CHECKOUT

URL = "AGENTSTATS_POSTGRES_URL"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://reader:h1dden@db/platform",
        "postgresql://reader:h1dden@db:5432/platform?sslmode=require",
        "postgres://reader:h1dden@[::1]:5432,other:5433/platform",
        "postgresql:///platform?host=/run/postgresql&user=reader&password=h1dden",
        "postgresql://reader:h1dden%40%2F%25@db/platform",
    ],
)
def test_a_url_that_libpq_reads_is_taken_and_never_shown(url: str) -> None:
    """Neither the settings nor what is shown of the URL have the password."""
    settings = read_settings({URL: url})
    assert "h1dden" not in repr(settings) + str(settings.model_dump())
    source = settings.source_url()
    assert "h1dden" not in source.shown
    assert "platform" in source.shown
    secret = source.secrets[0]
    assert "h1dden" in secret
    assert source.hide(f"no, {secret}!") == "no, ***!"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://reader:h1dden@h1dden@db/platform",
        "postgresql://reader:h1dden/h1dden@db/platform",
        "postgresql://reader:h1dden?h1dden@db/platform",
        "postgresql://reader:h1dden#h1dden@db/platform",
        "postgresql://reader:h1dden%@db/platform",
        "postgresql://reader:h1dden%zz@db/platform",
        "postgresql://db:h1dden/platform",
        "mysql://reader:h1dden@db/platform",
        "reader:h1dden@db",
    ],
)
def test_a_url_that_libpq_would_quote_in_an_error_is_refused_in_other_words(url: str) -> None:
    """The message names the setting and the remedy, and nothing of the URL."""
    with pytest.raises(SettingsError) as refused:
        read_settings({URL: url})
    assert URL in str(refused.value)
    assert "h1dden" not in str(refused.value)
    assert refused.value.__cause__ is None and refused.value.__suppress_context__


def test_what_keeps_a_dead_connection_from_hanging_can_be_overridden() -> None:
    """Given parameters stay; the others are added."""
    given = parse_url("postgresql://db/platform?connect_timeout=3&sslmode=require").with_defaults()
    assert given.count("connect_timeout") == 1
    assert "connect_timeout=3&sslmode=require&application_name=agentstats" in given
    assert "keepalives_idle=30" in given


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TABLES", '{"events": "a"}', "events is no stream"),
        ("TABLES", "agents", "Invalid JSON"),
        ("COLUMNS", '{"agents": {"nme": "a"}}', "nme is no column of agents"),
        ("XID_COLUMNS", '{"agents": "a"}', "agents is no stream of events"),
        ("CHUNK_ROWS", "10", "greater than or equal to 1000"),
    ],
)
def test_a_mapping_that_maps_nothing_is_an_error(name: str, value: str, said: str) -> None:
    """A stream or column that does not exist is named, with those that do."""
    with pytest.raises(SettingsError) as refused:
        read_settings({f"AGENTSTATS_POSTGRES_{name}": value})
    assert said in str(refused.value)
    assert f"AGENTSTATS_POSTGRES_{name}" in str(refused.value)


def test_every_column_of_the_contract_can_be_read_from_some_type() -> None:
    """Text always fits: landing judges its rows."""
    for stream in STREAMS:
        for column in stream.columns:
            assert "text" in accepted_types(column), (stream.name, column.name)


def test_without_a_source_no_driver_is_loaded(installation: Installation) -> None:
    """Files only: a pull does nothing, and costs nothing."""
    program = (
        "import sys\n"
        "from orchestration import pipeline\n"
        "from orchestration.settings import read_settings\n"
        "done = pipeline.pull(read_settings(), None)\n"
        "assert not done.pulled and not done.problems\n"
        "assert not [name for name in sys.modules if name.startswith('adbc')]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=CHECKOUT)
