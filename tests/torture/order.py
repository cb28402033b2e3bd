"""Any order of arrival, with hourly runs in between, against one rebuild and the recount."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest

from fuzz.outcome import Outcome
from installation import Installation
from orchestration import pipeline
from orchestration.publication.publish import current_snapshot
from recount.deliveries import recount_in_turn
from torture.generated import MONTH_LATER, NOW, Delivery, Generated, Size, generate
from torture.truth import Expected


def run(folder: Path, *, size: Size, shuffles: int, files_in_a_run: int) -> Outcome:
    """Deliver the same files in several orders. All marts must come out the same to the byte."""
    outcome = Outcome()
    generated = generate(folder / "made", size, seed=3)
    outcome.figures |= {
        name: value for name, value in vars(generated).items() if name != "deliveries"
    }
    outcome.figures["files"] = len(generated.deliveries)
    began = time.monotonic()
    truth = recount_in_turn([(folder / "made/first", NOW), (folder / "made/later", MONTH_LATER)])
    expected = Expected.of(truth)
    outcome.figures["recounted events"] = len(truth.events) + len(truth.scans) + len(truth.ratings)
    outcome.figures["reasons of rejection"] = len({row.reason for row in truth.rejected_rows})
    outcome.figures["recount took, s"] = round(time.monotonic() - began)
    del truth
    first: dict[str, str] = {}
    for seed in range(shuffles):
        began = time.monotonic()
        with pytest.MonkeyPatch.context() as environment:
            installation = Installation(folder / f"shuffle-{seed}", environment, NOW.isoformat())
            runs = _deliver(installation, generated, seed, files_in_a_run)
            fingerprints = installation.fingerprints()
            _compare(outcome, installation, expected, f"shuffle {seed}")
            _count(outcome, installation, generated, seed)
            first = first or fingerprints
            outcome.claim(
                fingerprints == first,
                f"shuffle {seed} differs in {_differing(first, fingerprints)}",
            )
            if seed == shuffles - 1:
                installation.run(full_refresh=True)
                rebuilt = installation.fingerprints()
                outcome.claim(
                    rebuilt == first, f"the rebuild differs in {_differing(first, rebuilt)}"
                )
            outcome.figures[f"shuffle {seed}: hourly runs, s"] = (
                runs,
                round(time.monotonic() - began),
            )
        shutil.rmtree(installation.home)
    outcome.figures["marts compared to the byte"] = len(first)
    return outcome


def _deliver(
    installation: Installation, generated: Generated, seed: int, files_in_a_run: int
) -> int:
    """Drop and run until all is delivered; returns the number of runs."""
    runs = 0
    order = list(generated.deliveries)
    random.Random(seed).shuffle(order)
    # Whose retention is unknown keeps everything, so that what is expired would depend on order.
    order.sort(key=lambda delivery: delivery.stream != "customers")
    for is_month_later, now in ((False, NOW), (True, MONTH_LATER)):
        installation.set_clock(now.isoformat())
        waiting = [delivery for delivery in order if delivery.is_month_later == is_month_later]
        while waiting:
            waiting = _drop(installation, waiting, files_in_a_run)
            _run_steps(installation, number=runs)
            runs += 1
    return runs


def _run_steps(installation: Installation, *, number: int) -> None:
    """The hourly job's steps as the job runs them, without what Dagster writes about them."""
    with installation.ledger() as ledger:
        settings = installation.settings
        pipeline.clear_scratch(settings)
        pipeline.land(settings, ledger)
        failed = pipeline.roll_up(settings, ledger).failed
        assert not failed, failed
        pipeline.publish_if_changed(settings, ledger, run_id=f"run-{number}")


def _drop(installation: Installation, waiting: list[Delivery], count: int) -> list[Delivery]:
    """Drop the next files; one whose name is taken by an earlier delivery waits a run longer."""
    left = []
    for delivery in waiting:
        target = installation.home / "landing" / delivery.stream / delivery.name
        if count and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(delivery.path, target)
            count -= 1
        else:
            left.append(delivery)
    return left


def _compare(outcome: Outcome, installation: Installation, expected: Expected, what: str) -> None:
    snapshot = current_snapshot(installation.settings.snapshots)
    assert snapshot is not None
    found = expected.compare(snapshot)
    outcome.figures[f"{what}: events, lost, doubled"] = (found.events, found.lost, found.doubled)
    outcome.claim(found.is_equal, f"{what} differs from the recount: {found}")


def _count(outcome: Outcome, installation: Installation, generated: Generated, seed: int) -> None:
    """What the ledger has to say of it: all files loaded, and every contradiction counted once."""
    with installation.ledger() as ledger:
        loads = ledger.loads()
    conflicts = sum(load.conflicting_duplicates for load in loads)
    rejected = sum(load.rejected for load in loads)
    outcome.figures[f"shuffle {seed}: duplicates, conflicts, rejected"] = (
        sum(load.duplicates for load in loads),
        conflicts,
        rejected,
    )
    outcome.claim(
        [load.source_file for load in loads if load.failure] == [], "a file was set aside"
    )
    outcome.claim(len(loads) == len(generated.deliveries), "a delivery is not in the ledger")
    outcome.claim(
        conflicts == generated.conflicting,
        f"{conflicts} conflicting duplicates instead of {generated.conflicting}",
    )


def _differing(these: dict[str, str], those: dict[str, str]) -> list[str]:
    return sorted(
        name for name in these.keys() | those.keys() if these.get(name) != those.get(name)
    )
