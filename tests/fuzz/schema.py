"""Schemathesis: every operation of openapi.json with what it allows and what it does not."""

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import httpx2

from api.auth.keys import KeyStore
from fuzz.outcome import Outcome, check_log
from fuzz.served import ROOT, Served, serving
from snapshot_fixture import ACME, publish, sample

CONFIG = Path(__file__).with_name("schemathesis.toml")
ALL_PHASES = "examples,coverage,fuzzing,stateful"


def run(
    home: Path,
    *,
    examples: int,
    at_least: int = 0,
    workers: int = 1,
    phases: str = ALL_PHASES,
) -> Outcome:
    """Schemathesis with all checks, `examples` for each operation; repeated with new seeds until
    the server has counted `at_least` requests."""
    outcome = Outcome()
    publish(home, sample())
    _, key = KeyStore(home / "keys.db").create(ACME, "schemathesis")
    hooks = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "fuzz.schemathesis_hooks",
        "PYTHONPATH": str(ROOT / "tests"),
    }
    by_status: Counter[str] = Counter()
    with serving(home) as served:
        for seed in range(1, 1000):
            found = subprocess.run(
                [
                    *(
                        sys.executable,
                        "-m",
                        "schemathesis.cli",
                        "--config-file",
                        str(CONFIG),
                        "run",
                    ),
                    f"{served.url}/openapi.json",
                    *("--checks", "all", "--mode", "all", "--header", f"X-API-Key: {key}"),
                    *("--phases", phases),
                    *("--max-examples", str(examples), "--seed", str(seed)),
                    *("--workers", str(workers), "--no-color", "--continue-on-failure"),
                    *("--generation-database", "none", "--suppress-health-check", "all"),
                ],
                env=hooks,
                cwd=home,
                capture_output=True,
                text=True,
                check=False,
            )
            (home / f"schemathesis-{seed}.txt").write_text(found.stdout + found.stderr)
            by_status = _requests_by_status(served)
            if found.returncode != 0:
                outcome.failures.append(f"schemathesis, seed {seed}:\n{found.stdout[-6000:]}")
                break
            if sum(by_status.values()) >= at_least:
                break
        outcome.figures["runs"] = seed
        outcome.figures["requests"] = sum(by_status.values())
        outcome.figures["by status"] = dict(sorted(by_status.items()))
        server_errors = sum(n for status, n in by_status.items() if status.startswith("5"))
        outcome.figures["server errors"] = server_errors
        outcome.claim(server_errors == 0, "there were server errors")
        outcome.claim(sum(by_status.values()) >= at_least, f"fewer than {at_least} requests")
        check_log(outcome, served)
    return outcome


def _requests_by_status(served: Served) -> Counter[str]:
    text = httpx2.get(f"{served.url}/metrics").text
    counted: Counter[str] = Counter()
    for status, count in re.findall(
        r'^agentstats_requests_total\{[^}]*status="(\d+)"\} (\S+)$', text, re.MULTILINE
    ):
        counted[status] += int(float(count))
    return counted
