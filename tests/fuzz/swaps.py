"""Snapshots that come and go while requests run."""

import threading
import time
from collections import Counter
from pathlib import Path

import httpx2

from api.auth.keys import KeyStore
from fuzz.outcome import SUMMARY, Outcome, check_log
from fuzz.served import serving
from snapshot_fixture import ACME, Marts, publish, usage


def run(home: Path, *, count: int, workers: int) -> Outcome:
    """Snapshot n holds 2n messages: header and body must agree while snapshots come and go."""
    outcome = Outcome()

    def marts(messages: int) -> Marts:
        rows = [
            usage(ACME, agent, 5, "m", "2026-03-10 00:00", message_count=messages)
            for agent in (1, 2)
        ]
        return Marts(customers=[(ACME, "Acme", "pro", 90)], usage=rows)

    old = publish(home, marts(1), snapshot_id="s-1")
    _, key = KeyStore(home / "keys.db").create(ACME, "load")
    seen: Counter[str] = Counter()
    failed: list[str] = []
    stop = threading.Event()
    with serving(home, workers=workers) as served:

        def ask() -> None:
            with httpx2.Client(headers={"X-API-Key": key}) as client:
                days = 0
                while not stop.is_set():
                    days = days % 2557 + 1  # another question each time, so that each is a query
                    try:
                        answer = client.get(f"{served.url}{SUMMARY}?days={days}")
                        snapshot = answer.headers["X-Snapshot-Id"]
                        right = answer.json()["total_messages"] == 2 * int(snapshot[2:])
                    except (httpx2.HTTPError, KeyError, ValueError) as error:
                        failed.append(repr(error))
                        continue
                    seen[snapshot] += 1
                    if not right:
                        failed.append(answer.text)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        for number in range(2, count + 2):
            new = publish(home, marts(number), snapshot_id=f"s-{number}")
            old.unlink()
            old = new
        time.sleep(1)
        stop.set()
        for thread in threads:
            thread.join()
        check_log(outcome, served)
    outcome.figures |= {
        "swaps": count,
        "workers": workers,
        "requests": sum(seen.values()) + len(failed),
        "snapshots that answered": len(seen),
        "failed": len(failed),
    }
    outcome.claim(not failed, f"failed requests: {failed[:3]}")
    outcome.claim(f"s-{count + 1}" in seen, "the last snapshot never answered")
    return outcome
