"""Alerts of a failed run, by a webhook that may be slow, wrong or gone."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dagster_daemon.services import receiver
from installation import Installation, usage_event
from orchestration.monitoring import alerts
from orchestration.monitoring.alerts import Alert
from orchestration.settings import SettingsError, read_settings
from orchestration.storage.writer_lock import WriterBusy, writer_lock


@contextmanager
def trickling_server() -> Iterator[int]:
    """A server that answers a byte at a time, and never comes to an end. Gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        stop = threading.Event()

        def trickle() -> None:
            while not stop.is_set():
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    while not stop.wait(0.2):
                        try:
                            connection.sendall(b"H")
                        except OSError:
                            break

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        stop.set()


def _alert(installation: Installation, problem: str = "it broke") -> Alert:
    now = installation.settings.clock()
    return Alert("run_failed", "hourly", "run-1", now, problem, alerts.LOOK)


def test_a_failed_run_of_the_command_line_sends_an_alert(installation: Installation) -> None:
    """What cron starts has no daemon beside it: the command posts by itself."""
    with receiver() as hook:
        installation.environment.setenv("AGENTSTATS_FAILURE_WEBHOOK_URL", hook.address)
        settings = installation.settings
        with writer_lock(settings.home, task="somebody else", now=settings.clock()):
            outcome = installation.try_run(in_dagster=True)
        installation.run()
    assert not outcome.succeeded
    (alert,) = hook.posted
    assert (alert["event"], alert["job"]) == ("run_failed", "hourly")
    assert "somebody else" in alert["problem"] and alert["problem"] in alert["text"]
    assert alert["time"] == "2026-03-01T12:00:00Z"
    assert alert["will_retry"] is False and "agentstats status" in alert["next"]


def test_a_long_problem_becomes_one_line(installation: Installation) -> None:
    """A stack of messages is cut where a chat service would cut it."""
    with receiver() as hook:
        installation.environment.setenv("AGENTSTATS_FAILURE_WEBHOOK_URL", hook.address)
        alerts.post(installation.settings, _alert(installation, "a\n  b\n" + "c" * 5000))
    (alert,) = hook.posted
    assert alert["problem"].startswith("a b ccc") and len(alert["problem"]) == 500


def test_a_webhook_that_is_down_harms_nothing_and_is_reported(
    installation: Installation, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run ends as it would have; the log says that no alert was sent, without the address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    installation.environment.setenv(
        "AGENTSTATS_FAILURE_WEBHOOK_URL", f"http://127.0.0.1:{port}/a-secret-token"
    )
    settings = installation.settings
    with writer_lock(settings.home, task="somebody else", now=settings.clock()):
        outcome = installation.try_run(in_dagster=True)
    assert not outcome.succeeded and "somebody else" in str(outcome.problem)
    printed = "".join(capsys.readouterr())
    assert "alert_not_delivered" in printed and "ConnectionRefusedError" in printed
    assert "a-secret-token" not in printed
    installation.drop("agent_usage_events", "a.ndjson", [usage_event(1)])
    installation.run()


def test_a_webhook_that_trickles_is_given_up(installation: Installation) -> None:
    """No socket's timeout ends that: each byte comes in time."""
    with trickling_server() as port:
        installation.environment.setenv(
            "AGENTSTATS_FAILURE_WEBHOOK_URL", f"http://127.0.0.1:{port}/"
        )
        reason = alerts.post(installation.settings, _alert(installation))
    assert "no answer within 4 seconds" in str(reason)


@pytest.mark.parametrize(
    "address", ["ftp://host/token-1", "token-1", "https://", "http://[token-1"]
)
def test_a_wrong_address_is_refused_without_repeating_it(address: str) -> None:
    """It may hold a token, even where it is wrong."""
    with pytest.raises(SettingsError, match="AGENTSTATS_FAILURE_WEBHOOK_URL") as raised:
        read_settings({"AGENTSTATS_FAILURE_WEBHOOK_URL": address})
    assert "token-1" not in str(raised.value)
    settings = read_settings({"AGENTSTATS_FAILURE_WEBHOOK_URL": "https://host/token-1"})
    assert "token-1" not in repr(settings)


def test_no_address_posts_nothing(installation: Installation) -> None:
    """As it is delivered."""
    assert alerts.post(installation.settings, _alert(installation)) is None


def test_the_busy_writer_is_an_error_that_names_it(installation: Installation) -> None:
    """What the alert above says too."""
    settings = installation.settings
    with (
        writer_lock(settings.home, task="one", now=settings.clock()),
        pytest.raises(WriterBusy, match="one"),
        writer_lock(settings.home, task="two", now=settings.clock()),
    ):
        pass
