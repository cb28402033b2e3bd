"""Home folders that are ready for a run to be interrupted, and what they have to come to."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from installation import fingerprints_of_snapshot, rows_of_snapshot
from orchestration.publication.publish import current_snapshot
from orchestration.settings import Settings, read_settings
from recount.deliveries import Truth, recount
from torture.generated import NOW, Delivery, Size, generate
from torture.steps import Ended, Runs
from torture.truth import Expected

# When free customers' days have passed, and the oldest of the starters'.
AGED = NOW + timedelta(days=9)
ERASED = 7

_HOURLY = ("run", "hourly")
_NIGHTLY = ("run", "nightly")


def environment_at(now: datetime) -> dict[str, str]:
    """The settings of every run: one snapshot is kept, so that each publication unlinks one."""
    return {
        "AGENTSTATS_NOW": now.isoformat(),
        "AGENTSTATS_SNAPSHOTS_KEPT": "1",
        "AGENTSTATS_RETENTION_MAX_DELETE_FRACTION": "1",
    }


@dataclass(frozen=True)
class Prepared:
    """A home folder before the command that is to be interrupted, and what it has to come to.

    `before` and `after` are hashes of the marts, `deleted` the rows of the retention ledger.
    """

    home: Path
    command: Sequence[str]
    environment: Mapping[str, str]
    expected: Expected
    before: Mapping[str, str]
    after: Mapping[str, str]
    deleted: Sequence[object]
    steps: Sequence[str]

    @property
    def name(self) -> str:
        return self.home.name


def settings_of(home: Path) -> Settings:
    """The settings that runs of this home folder have, at the time of most of them."""
    return read_settings({**environment_at(NOW), "AGENTSTATS_HOME": str(home)})


def prepare(
    folder: Path, runs: Runs, size: Size, names: Sequence[str] = ("hourly",)
) -> list[Prepared]:
    """Prepare an `hourly` run over published marts, and those of these that are among the names:
    a `first-run`, a `nightly` one, `retention` (a nightly run that deletes), an `erasure`."""
    generated = generate(folder / "made", size, seed=7)
    deliveries = [delivery for delivery in generated.deliveries if not delivery.is_month_later]
    # Names first, every second file of events with them; the others for the run after.
    early = [d for n, d in enumerate(deliveries) if not d.stream.endswith("_events") or n % 2]
    late = [d for d in deliveries if d not in early]
    truth = recount(folder / "made/first", NOW)
    expected = Expected.of(truth)
    hourly = _dropped(folder / "hourly", early)
    _run(runs, hourly, _HOURLY, NOW)
    before = fingerprints(hourly)
    _dropped(hourly, late)
    prepared = [_rehearsed(runs, hourly, _HOURLY, NOW, expected, before)]
    if "first-run" in names:
        home = _dropped(folder / "first-run", deliveries)
        prepared.append(_rehearsed(runs, home, _HOURLY, NOW, expected, {}))
    over_all = [name for name in ("nightly", "retention", "erasure") if name in names]
    if over_all:
        copy_home(hourly, whole := folder / "whole")
        _run(runs, whole, _HOURLY, NOW)
        for name in over_all:
            copy_home(whole, home := folder / name)
            prepared.append(_over_all(runs, home, truth, expected))
    return prepared


def copy_home(home: Path, to: Path) -> None:
    """Copy a home folder, its links as links."""
    shutil.copytree(home, to, symlinks=True)


def fingerprints(home: Path) -> dict[str, str]:
    """Hashes of the published marts; not of the retention ledger, which has a row for each run, nor
    of what the last nightly run measured."""
    path = current_snapshot(settings_of(home).snapshots)
    assert path is not None
    try:
        found = fingerprints_of_snapshot(path)
    except duckdb.Error as error:
        return {"unreadable": str(error)}
    del found["retention_ledger"], found["forecast_backtest"]
    return found


def deleted_rows(home: Path) -> list[object]:
    """What the published retention ledger says that went, over all runs."""
    path = current_snapshot(settings_of(home).snapshots)
    assert path is not None
    return list(
        rows_of_snapshot(
            path,
            "select customer_id, table_name, cause, cutoff, sum(rows_deleted)::bigint as rows, "
            "min(oldest_deleted) as oldest, max(newest_deleted) as newest "
            "from marts.retention_ledger group by all having rows > 0 order by all",
        )
    )


def _over_all(runs: Runs, home: Path, truth: Truth, expected: Expected) -> Prepared:
    before = fingerprints(home)
    if home.name == "nightly":
        return _rehearsed(runs, home, _NIGHTLY, NOW, expected, before)
    if home.name == "retention":
        kept = Expected.of(truth.kept_at(AGED))
        return _rehearsed(runs, home, _NIGHTLY, AGED, kept, before)
    return _rehearsed(
        runs,
        home,
        ("erase", "--customer", str(ERASED)),
        NOW,
        expected.without(ERASED),
        before,
    )


def _rehearsed(
    runs: Runs,
    home: Path,
    command: Sequence[str],
    now: datetime,
    expected: Expected,
    before: Mapping[str, str],
) -> Prepared:
    """Run the command to its end on a copy, which must come to what is expected."""
    copy_home(home, rehearsal := home.with_name(f"rehearsal-of-{home.name}"))
    steps = _run(runs, rehearsal, command, now).steps
    path = current_snapshot(settings_of(rehearsal).snapshots)
    assert path is not None
    compared = expected.compare(path)
    assert compared.is_equal, (home.name, compared)
    after, deleted = fingerprints(rehearsal), deleted_rows(rehearsal)
    shutil.rmtree(rehearsal)
    environment = environment_at(now)
    return Prepared(home, command, environment, expected, before, after, deleted, steps)


def _dropped(home: Path, deliveries: list[Delivery]) -> Path:
    """Drop the files; what came twice under one name is there once."""
    for delivery in deliveries:
        target = home / "landing" / delivery.stream / delivery.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(delivery.path, target)
    return home


def _run(runs: Runs, home: Path, command: Sequence[str], now: datetime) -> Ended:
    ended = runs.run(home, *command, environment=environment_at(now))
    assert ended.status == 0, ended.output
    return ended
