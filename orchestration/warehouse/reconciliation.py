"""The proof that it adds up: deliveries, lake and marts, by stream, customer and UTC date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from orchestration.contract.streams import ANOMALIES, EVENT_STREAMS
from orchestration.errors import AgentstatsError
from orchestration.lake.forgetting import EVENTS
from orchestration.lake.verified import verified_paths
from orchestration.lake.writing import COUNTS_FOLDER
from orchestration.settings import Settings
from orchestration.storage.ledger import Ledger, Load
from orchestration.storage.ledger.losses import LostFile
from orchestration.warehouse import dbt, rollups

RECONCILIATION = "tag:reconciliation"
# With what it reads and was not built yet. It was tested when it was built for the marts.
_READ_BY_RECOUNT = ("int_ids_on_two_dates", "path:models/staging")
_NOT_RECOUNTED = ("path:models/staging,resource_type:test",)
IDS_NAMED = 100

_AMOUNTS = ("written", "lost", "in_lake", "newest_in_lake", "in_marts")

_TOTALS = (
    *("delivered", "accepted", "duplicates", "rejected", "withdrawn"),
    *("lost", "in_lake", "withdrawn_in_lake"),
    *(*ANOMALIES, "ids_on_two_dates"),
)


class NothingRolledUp(AgentstatsError):
    """There are no marts to compare with; the message says how to come by them."""


@dataclass(frozen=True)
class Difference:
    """One stream, customer and UTC date that does not add up; counts as in marts.reconciliation.

    `customer_id` is None for rejected rows of which it cannot be read.
    """

    stream: str
    customer_id: int | None
    occurred_date: str
    delivered: int
    accepted: int
    duplicates: int
    rejected: int
    withdrawn: int
    lost: int
    in_lake: int
    withdrawn_in_lake: int
    in_marts: int


@dataclass(frozen=True)
class SumDifference:
    """A measure of one stream, customer and UTC date that does not add up, as in
    marts.reconciled_sums; `files` are the lake files that hold the date, where it is the lake that
    differs from what landing wrote."""

    stream: str
    customer_id: int
    occurred_date: str
    measure: str
    written: int
    lost: int
    in_lake: int
    newest_in_lake: int
    in_marts: int
    mart_that_differs: str | None
    files: str


@dataclass(frozen=True)
class FileDifference:
    """A delivered file whose rows do not add up, or a stream whose files do not."""

    source: str
    problem: str


@dataclass(frozen=True)
class IdOnTwoDates:
    """An id that came under several UTC dates, though an event keeps its time: an anomaly."""

    stream: str
    customer_id: int
    id: str
    occurred_dates: str


@dataclass(frozen=True)
class Reconciliation:
    """The proof that it adds up: nothing in `differences`, `sum_differences` and
    `file_differences`. `events` are in the lake, withdrawals of events among them; those
    `withdrawn_in_lake`, with the events that they withdraw, are in no mart. `lost` events are those
    of `lost_files`, which were given up.

    Anomalies are faults of the senders: counted, reported, and no difference. `on_two_dates` names
    the first of the `ids_on_two_dates`.
    """

    events: int
    groups: int
    files: int
    delivered: int
    duplicates: int
    rejected: int
    withdrawn: int
    withdrawn_in_lake: int
    lost: int
    total_mismatches: int
    conflicting_duplicates: int
    received_in_future: int
    ids_on_two_dates: int
    differences: Sequence[Difference]
    sum_differences: Sequence[SumDifference]
    file_differences: Sequence[FileDifference]
    on_two_dates: Sequence[IdOnTwoDates]
    lost_files: Sequence[LostFile]

    @property
    def adds_up(self) -> bool:
        return not (self.differences or self.sum_differences or self.file_differences)


def build_recount(settings: Settings, scope: rollups.Scope) -> list[dbt.NodeResult]:
    """Build and test the recount of what was handed over. Raises as `rollups.build` does."""
    read = () if rollups.has_what_is_built_once(settings) else _READ_BY_RECOUNT
    return rollups.build(settings, scope, select=[RECONCILIATION, *read], exclude=_NOT_RECOUNTED)


def reconcile(settings: Settings, ledger: Ledger) -> Reconciliation:
    """Recount every event in the lake; compare with the marts and with what landing counted.

    Raises `NothingRolledUp` before the first roll-up, `LakeDamaged` where the lake is not what
    the ledger recorded, `DbtFailed` where the recount itself fails.
    """
    if not rollups.has_rolled_up(settings):
        raise NothingRolledUp(
            f"no marts to compare with in {settings.warehouse} yet: "
            "`agentstats run hourly` builds them"
        )
    # What is not recounted too: the texts of rejected rows, say.
    verified_paths(settings.lake, ledger, ledger.lake_files())
    scope = rollups.whole_lake(ledger)
    rollups.hand_over(settings, ledger, scope, is_recount=True)
    results = build_recount(settings, scope)
    failed = [result for result in results if not result.is_ok]
    if failed:
        raise dbt.DbtFailed("; ".join(f"{node.unique_id}: {node.message}" for node in failed))
    with rollups.open_warehouse(settings) as warehouse:
        rollups.renew_marts_version(warehouse)
        rollups.mark_recounted(settings, warehouse)
        totals = {
            stream: dict(zip(_TOTALS, sums, strict=True))
            for stream, *sums in warehouse.execute(
                f"select stream, {', '.join(f'sum({name})::bigint' for name in _TOTALS)} "
                "from marts.reconciliation group by stream"
            ).fetchall()
        }
        groups = warehouse.execute("select count(*) from marts.reconciliation").fetchall()[0][0]
        differences = warehouse.execute(
            "select stream, customer_id, cast(occurred_date as varchar), delivered, accepted, "
            "duplicates, rejected, withdrawn, lost, in_lake, withdrawn_in_lake, in_marts "
            "from marts.reconciliation where difference <> 0 order by all"
        ).fetchall()
        sum_differences = warehouse.execute(
            "select stream, customer_id, cast(occurred_date as varchar), measure, "
            f"{', '.join(f'{name}::hugeint' for name in _AMOUNTS)}, mart_that_differs "
            "from marts.reconciled_sums where difference <> 0 order by all"
        ).fetchall()
        sums = {name: sum(each[name] for each in totals.values()) for name in _TOTALS}
        on_two_dates = []
        if sums["ids_on_two_dates"]:
            on_two_dates = warehouse.execute(
                "select stream, customer_id, id, "
                "string_agg(cast(occurred_date as varchar), ', ' order by occurred_date) "
                "from intermediate.int_ids_on_two_dates group by 1, 2, 3 order by 1, 2, 3 limit ?",
                [IDS_NAMED],
            ).fetchall()
    loads = ledger.loads()
    return Reconciliation(
        events=sums.pop("in_lake"),
        groups=groups,
        files=len(loads),
        **{name: total for name, total in sums.items() if name != "accepted"},
        differences=[Difference(*row) for row in differences],
        sum_differences=[SumDifference(*[*row, _files_of(ledger, row)]) for row in sum_differences],
        lost_files=ledger.lost_files(),
        file_differences=_file_differences(ledger, loads, totals),
        on_two_dates=[IdOnTwoDates(*row) for row in on_two_dates],
    )


def _files_of(ledger: Ledger, row: Sequence[Any]) -> str:
    """The lake files of a difference in sums, unless it is a mart alone that differs."""
    stream, _, day, _, written, lost, in_lake, *_ = row
    if written == lost + in_lake:
        return ""
    return ", ".join(ledger.lake_paths_of(stream, [date.fromisoformat(day)]))


def _file_differences(
    ledger: Ledger, loads: Sequence[Load], totals: Mapping[str, Mapping[str, int]]
) -> list[FileDifference]:
    """Files whose rows do not add up, and streams whose counts are not those of their files."""
    found = [
        FileDifference(
            load.source_file,
            f"{load.rows_read} read, but {load.accepted} accepted + {load.duplicates} duplicates "
            f"+ {load.rejected} rejected",
        )
        for load in loads
        if load.rows_read != load.accepted + load.duplicates + load.rejected
    ]
    deleted = ledger.deleted_events()
    # A loss is of the lake, or of the counts; one of the lake whose date was deleted since took its
    # counts with it.
    lost = [loss for loss in ledger.losses() if loss.measure == EVENTS]
    lost_before = [loss for loss in ledger.losses(deleted_since=True) if loss.measure == EVENTS]
    counts_are_lost = any(file.folder == COUNTS_FOLDER for file in ledger.lost_files())
    for stream in EVENT_STREAMS:
        for outcome in ("accepted", "duplicates", "rejected"):
            recorded = sum(getattr(load, outcome) for load in loads if load.stream == stream.name)
            counted = totals.get(stream.name, {}).get(outcome, 0)
            # What is deleted takes its counts with it; the count of deliveries stays as it was.
            gone = 0
            if outcome == "accepted":
                gone = deleted.get(stream.name, 0)
                gone += sum(loss.lost for loss in lost_before if loss.stream == stream.name)
                gone -= sum(min(loss.lost, 0) for loss in lost if loss.stream == stream.name)
            missing = recorded - counted - gone
            may_be_gone = outcome != "accepted" and (deleted or counts_are_lost)
            if missing < 0 or (missing > 0 and not may_be_gone):
                found.append(
                    FileDifference(
                        stream.name,
                        f"{recorded} {outcome} by the ledger, {counted} by customer and date"
                        + (f", {gone} deleted or lost" if gone else ""),
                    )
                )
    return found
