"""Customers whose data is a trial: hostile names, one day, nothing at all."""

from __future__ import annotations

from pathlib import Path

from snapshot_fixture import Marts, publish, ratings, usage

HOSTILE, ONE_DAY, QUIET = 1, 2, 3

AGENT_NAMES = [
    "<img src=x onerror=\"document.title='broken'\">",
    "=1+1",
    "</script><script>document.title='broken'</script>",
    "\u202egnp.exe\u202c backwards",
    "@SUM(A1:A9)",
    "a,\"b\"\n'c'",
    "   ",
    "N" * 200,
    "Same", "Same",
]  # fmt: skip
MODEL = "<svg onload=\"document.title='broken'\">"
TYPE_NAME = '-2+3"><b>bold</b>'
ENTITY = "<b>EMAIL</b>"


def publish_to(home: Path) -> None:
    """Publish a snapshot with these customers."""
    publish(
        home,
        Marts(
            customers=[
                (HOSTILE, "<i>Acme</i>", "pro", 90),
                (ONE_DAY, "New", "pro", 90),
                (QUIET, "Quiet", "pro", 90),
            ],
            agents=[
                (HOSTILE, number, 5, name) for number, name in enumerate(AGENT_NAMES, start=1)
            ],
            agent_types=[(HOSTILE, 5, TYPE_NAME, MODEL)],
            usage=[
                *(
                    usage(HOSTILE, number, 5, MODEL, "2026-03-09 10:00", message_count=1,
                          input_tokens=1000 - number, output_tokens=10)
                    for number in range(1, len(AGENT_NAMES) + 1)
                ),
                usage(ONE_DAY, 1, 1, "m", "2026-03-10 09:00", message_count=7,
                      input_tokens=70, output_tokens=7),
            ],
            compliance=[(HOSTILE, 5, 1, 1, 1, 1, 4, "2026-03-09 10:00")],
            pii=[(HOSTILE, 5, ENTITY, 4, "2026-03-09 10:00")],
            feedback=[(HOSTILE, 5, "low", *ratings(0, 0, 0, 1, 1), "2026-03-09 10:00")],
        ),
    )  # fmt: skip
