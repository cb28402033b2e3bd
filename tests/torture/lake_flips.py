"""One bit of one lake file is another: whoever reads the file names it, and nothing is published.

Files of every folder, as landing wrote them, as the nightly run merged them, and of rejected rows.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner

from fuzz.outcome import Outcome
from installation import Installation, installation_in, rating, scan, usage_event
from orchestration import pipeline
from orchestration.cli import app
from orchestration.publication.publish import current_snapshot
from orchestration.settings import Settings
from orchestration.storage.ledger import Ledger
from orchestration.warehouse.reconciliation import reconcile

NOW = "2026-03-01T12:00:00Z"
_DAYS = ("2026-02-26", "2026-02-27", "2026-02-28")
# What a build does not read: the texts of rejected rows are for people, and are in no mart.
_NOT_BUILT = "rejected_rows"


def run(folder: Path, *, flips: int, jobs: int, seed: int) -> Outcome:
    """So many single bits, each put back before the next; every job is tried on `jobs` of them."""
    outcome = Outcome()
    chance = random.Random(seed)
    with installation_in(folder / "flips", NOW) as installation:
        _fill(installation)
        settings = installation.settings
        marts = installation.fingerprints()
        snapshot = current_snapshot(settings.snapshots)
        with installation.ledger() as ledger:
            files = ledger.lake_files()
            folders = sorted({file.folder for file in files})
            flipped: Counter[str] = Counter()
            unnamed: list[str] = []
            for number in range(flips):
                # Each folder as often as any other, however many files it has.
                folder_name = folders[number % len(folders)]
                file = chance.choice([each for each in files if each.folder == folder_name])
                path = settings.lake / file.path
                bit = chance.randrange(8 * file.bytes)
                _flip(path, bit)
                flipped[file.folder] += 1
                for what, read in _READERS.items():
                    if what == "build" and file.folder == _NOT_BUILT:
                        continue
                    said = _said(read, settings, ledger)
                    if file.path not in said:
                        unnamed.append(f"{what}: bit {bit} of {file.path}: {said[-200:]!r}")
                if number % (flips // jobs) == 0:
                    unnamed += _jobs(installation, file.path, file.folder)
                outcome.claim(
                    current_snapshot(settings.snapshots) == snapshot,
                    f"published with bit {bit} of {file.path} flipped",
                )
                _flip(path, bit)
        outcome.figures["flips, seed"] = (flips, seed)
        outcome.figures["by folder"] = dict(sorted(flipped.items()))
        outcome.figures["not named"] = len(unnamed)
        outcome.failures += unnamed
        # With every bit back where it was, all of it is as before.
        full = installation.try_run(full_refresh=True)
        outcome.claim(full.succeeded, f"afterwards: {full.problem}")
        outcome.claim(installation.fingerprints() == marts, "afterwards the marts are others")
    return outcome


def _fill(installation: Installation) -> None:
    """Two landings whose files the nightly run merges, and a third whose files it did not."""
    for part in range(3):
        first = 100 * part
        numbers = range(first, first + 40)
        at = {n: f"{_DAYS[n % 3]}T{n % 24:02}:00:00Z" for n in numbers}
        installation.drop("customers", f"{part}.csv", [
            {"customer_id": part + 1, "customer_name": f"Name {part}", "tier": "enterprise",
             "updated_at": _DAYS[0]},
        ])  # fmt: skip
        installation.drop("agents", f"{part}.ndjson", [
            {"agent_id": 11, "customer_id": part + 1, "agent_type_id": 5, "agent_name": "Ada"},
        ])  # fmt: skip
        installation.drop("agent_types", f"{part}.ndjson", [
            {"agent_type_id": 5, "customer_id": part + 1, "agent_type_name": "Support"},
        ])  # fmt: skip
        installation.drop("agent_usage_events", f"{part}.ndjson", [
            usage_event(n, occurred_at=at[n], customer_id=n % 3 + 1) for n in numbers
        ] + [usage_event(first, agent_id=None)])  # fmt: skip
        installation.drop("audit_events", f"{part}.parquet", [
            scan(n, occurred_at=at[n], customer_id=n % 3 + 1) for n in numbers
        ])  # fmt: skip
        installation.drop("feedback_events", f"{part}.csv", [
            rating(n, occurred_at=at[n], rating=n % 6) for n in numbers
        ])  # fmt: skip
        with installation.ledger() as ledger:
            pipeline.land(installation.settings, ledger)
        if part:
            installation.run("nightly" if part == 1 else "hourly")


def _flip(path: Path, bit: int) -> None:
    """Let one bit be the other, as storage does: nothing else of the file changes."""
    with path.open("r+b") as file:
        file.seek(bit // 8)
        (byte,) = file.read(1)
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def _build(settings: Settings, ledger: Ledger) -> None:
    done = pipeline.roll_up(settings, ledger, full_refresh=True)
    raise AssertionError(f"it was built: {[node.message for node in done.failed]}")


def _recount(settings: Settings, ledger: Ledger) -> None:
    raise AssertionError(f"it was recounted: adds up: {reconcile(settings, ledger).adds_up}")


_READERS: dict[str, Callable[[Settings, Ledger], None]] = {"build": _build, "recount": _recount}


def _said(read: Callable[[Settings, Ledger], None], settings: Settings, ledger: Ledger) -> str:
    """What the reader says, which must not come to its end."""
    try:
        read(settings, ledger)
    except Exception as error:
        return str(error)
    return ""


def _jobs(installation: Installation, path: str, folder: str) -> list[str]:
    """What people run: none of it may succeed, and each names the file."""
    unnamed = []
    verified = CliRunner().invoke(app, ["lake", "verify", "--json"])
    if verified.exit_code != 1 or path not in verified.stdout:
        unnamed.append(f"lake verify: {verified.exit_code}: {verified.output[-300:]!r}")
    for job, full_refresh in (("nightly", False), ("hourly", True)):
        if full_refresh and folder == _NOT_BUILT:
            continue
        outcome = installation.try_run(job, full_refresh=full_refresh)
        if outcome.succeeded or path not in (outcome.problem or ""):
            unnamed.append(f"{job}: {path}: {outcome.problem}")
    return unnamed
