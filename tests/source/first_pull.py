"""A first pull of millions of rows, against psql's COPY of the same table to a file."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from source.server import Server, binaries, empty_platform, running_server

CHECKOUT = Path(__file__).parents[2]


def run(*, rows: int, rounds: int = 3) -> bool:
    """Whether every row is in the files. Prints rows a second, the ratio, and the peak memory."""
    with running_server("shared_buffers = 512MB", "max_wal_size = 8GB") as server:
        _fill(server, rows)
        with tempfile.TemporaryDirectory() as folder:
            copies, pulls = [], []
            # In turns, so that both meet the same machine.
            for number in range(rounds):
                copies.append(_copy(server, Path(folder) / f"copy-{number}"))
                seconds, peak_mb, pulled = _pull(server, Path(folder) / f"home-{number}")
                pulls.append(seconds)
        copy, pull = min(copies), min(pulls)
        print(
            f"first pull of {rows} rows: {rows / pull:.0f} rows/s "
            f"({', '.join(f'{each:.1f} s' for each in pulls)}); psql COPY to a file: "
            f"{rows / copy:.0f} rows/s ({', '.join(f'{each:.1f} s' for each in copies)}); "
            f"ratio {copy / pull:.2f}; peak memory of the puller {peak_mb:.0f} MB"
        )
        return pulled == rows


def _fill(server: Server, rows: int) -> None:
    empty_platform(server)
    server.run(
        # Neither of the two reads it, and it takes longer to fill than all the rest.
        "alter table agent_usage_events drop constraint agent_usage_events_pkey",
        "insert into agent_usage_events select gen_random_uuid(), 1 + n % 2000, 1 + n % 20000, "
        "1 + n % 50, 'claude-sonnet-' || n % 4, n % 5000, n % 900, n % 5000 + n % 900, "
        "(n % 90000) / 3.0, '2026-02-01Z'::timestamptz + n * interval '0.4 s', "
        f"'2026-02-01Z'::timestamptz + n * interval '0.4 s' from generate_series(1, {rows}) as n",
        "vacuum (analyze, freeze) agent_usage_events",
        "checkpoint",
    )


def _copy(server: Server, target: Path) -> float:
    begun = time.monotonic()
    subprocess.run(
        [binaries() / "psql", server.owner_url, "--quiet",
         "--command", f"\\copy agent_usage_events to '{target}'"],
        check=True,
    )  # fmt: skip
    seconds = time.monotonic() - begun
    target.unlink()
    return seconds


def _pull(server: Server, home: Path) -> tuple[float, float, int]:
    """(seconds, peak memory in MB, rows) of `agentstats source pull` in a process of its own."""
    environment = {
        **os.environ,
        "AGENTSTATS_HOME": str(home),
        "AGENTSTATS_POSTGRES_URL": server.reader_url,
        "PYTHONPATH": str(CHECKOUT),
    }
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", "from orchestration.cli import main; main()",
         "source", "pull", "--json", "--stream", "agent_usage_events"],
        env=environment, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        check=True, text=True,
    )  # fmt: skip
    seconds = time.monotonic() - begun
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return seconds, peak_mb, sum(each["rows"] for each in json.loads(done.stdout)["pulled"])
