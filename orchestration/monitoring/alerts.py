"""Alerts: one POST to the address that the operator has set.

An alert never harms what it is about: an address that does not answer costs some seconds and a
line in the log, which does not have the address, because it may hold a token.
"""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

import structlog

from orchestration.contract.shown import one_line
from orchestration.settings import Settings

# A sensor has a minute for all that failed since it last looked.
TIMEOUT_SECONDS = 4
ATTEMPTS = 2
PAUSE_SECONDS = 1
_MAX_PROBLEM_LENGTH = 500

LOOK = (
    "`agentstats status` shows it; docs/operations.md says what to do. "
    "Readers go on with the last good snapshot"
)
LOOK_AND_MEND = (
    "`agentstats status` names all of it; mend it and drop it again. All else is published"
)
RETRIED = "nothing yet: it is run again by itself; there is another alert if that fails too"

log = structlog.get_logger()


@dataclass(frozen=True)
class Alert:
    """What an operator has to look at; `problem` is cut to one line, `next` says what to do."""

    event: Literal["run_failed", "set_aside", "data_stopped", "data_flows_again"]
    job: str | None
    run_id: str | None
    time: datetime
    problem: str
    next: str
    will_retry: bool = False


def post(settings: Settings, alert: Alert) -> str | None:
    """Post the alert where an address is set. Returns why it was not delivered, None if it was.

    Never raises.
    """
    if settings.failure_webhook_url is None:
        return None
    address = settings.failure_webhook_url.get_secret_value()
    body = json.dumps(_body(settings, alert)).encode()
    reason: str | None = None
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_SECONDS)
        reason = _deliver_in_time(address, body)
        if reason is None:
            return None
    problem = f"the failure webhook was not delivered: {reason}; see AGENTSTATS_FAILURE_WEBHOOK_URL"
    log.error("alert_not_delivered", event_of_alert=alert.event, run_id=alert.run_id, reason=reason)
    return problem


def _body(settings: Settings, alert: Alert) -> Mapping[str, object]:
    problem = one_line(alert.problem, _MAX_PROBLEM_LENGTH)
    return {
        # Chat services show this one, and ignore the others.
        "text": f"agentstats: {problem}. Next: {alert.next}.",
        **asdict(alert),
        "problem": problem,
        "time": alert.time.isoformat().replace("+00:00", "Z"),
        "host": socket.gethostname(),
        "home": str(settings.home),
    }


def _deliver_in_time(address: str, body: bytes) -> str | None:
    """Why it was not delivered, None if it was.

    In a thread, because a server that trickles its answer never runs into a socket's timeout.
    """
    outcome: list[str | None] = []
    thread = threading.Thread(
        target=lambda: outcome.append(_deliver(address, body)), daemon=True, name="alert"
    )
    thread.start()
    thread.join(TIMEOUT_SECONDS)
    return outcome[0] if outcome else f"no answer within {TIMEOUT_SECONDS} seconds"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A POST that is sent elsewhere would arrive as a GET, without the alert."""

    def redirect_request(self, *_: object) -> None:
        return None


def _deliver(address: str, body: bytes) -> str | None:
    try:
        request = urllib.request.Request(
            address, body, {"Content-Type": "application/json"}, method="POST"
        )
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=TIMEOUT_SECONDS):
            return None
    except urllib.error.HTTPError as error:
        error.close()
        return f"it answered {error.code}"
    except urllib.error.URLError as error:
        return type(error.reason).__name__
    except Exception as error:
        # Whatever else it is, its text may hold the address.
        return type(error).__name__
