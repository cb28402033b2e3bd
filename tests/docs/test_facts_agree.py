"""What several pages state, and the code decides, is one and the same."""

from __future__ import annotations

import re

from api.auth.keys import RANDOM_BYTES
from orchestration.clock import retries, schedules, sensors
from orchestration.monitoring import alerts
from orchestration.settings import PREFIX, Settings
from published_demo import CHECKOUT

DOCS = CHECKOUT / "docs"
API, OPERATIONS = ((DOCS / name).read_text() for name in ("api.md", "operations.md"))
WORDS = {"twice": 2, "half a minute": 30, "nine": 9}


def test_a_key_has_as_many_random_bits_as_every_page_says() -> None:
    """In docs and docstrings alike."""
    pages = [*DOCS.rglob("*.md"), CHECKOUT / "SECURITY.md", CHECKOUT / "api" / "auth" / "keys.py"]
    stated = [bits for page in pages for bits in re.findall(r"(\d+) random bits", page.read_text())]
    assert len(stated) >= 4
    assert set(stated) == {str(8 * RANDOM_BYTES)}


def test_the_limits_of_the_api_are_the_defaults_of_their_settings() -> None:
    """The first number of each row that names a setting."""
    rows = re.findall(rf"^\|[^|]*\| (\d+)[^|]*\| `{PREFIX}(\w+)` \|", API, re.MULTILINE)
    assert len(rows) >= 8
    for number, name in rows:
        assert float(number) == Settings.model_fields[name.lower()].default, name


def test_schedules_and_sensors_run_as_operations_says() -> None:
    """The minute, the hour, and how often each sensor looks."""
    stated = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", OPERATIONS, re.MULTILINE))
    hourly, nightly = (
        each.cron_schedule for each in (schedules.hourly_schedule, schedules.nightly_schedule)
    )
    assert (stated["hourly"], hourly) == ("minute 5 of each hour, UTC", "5 * * * *")
    assert (stated["nightly"], nightly) == ("03:00 UTC", "0 3 * * *")
    for sensor in (sensors.files_arrive, sensors.runs_fail, sensors.data_stops):
        assert stated[sensor.name] == f"{sensor.minimum_interval_seconds} s"


def test_tries_are_as_many_as_operations_says() -> None:
    """Of a step that something passing was in the way of, and of an alert."""
    (again, apart) = re.findall(r"is tried again (\w+), (.*?) apart", OPERATIONS)[0]
    assert (WORDS[again], WORDS[apart]) == (retries.MAX_RETRIES, retries.SECONDS_BETWEEN)
    (times, seconds) = re.findall(r"is tried (\w+), for (\w+) seconds in all", OPERATIONS)[0]
    assert WORDS[times] == alerts.ATTEMPTS
    pauses = (alerts.ATTEMPTS - 1) * alerts.PAUSE_SECONDS
    assert WORDS[seconds] == alerts.ATTEMPTS * alerts.TIMEOUT_SECONDS + pauses
