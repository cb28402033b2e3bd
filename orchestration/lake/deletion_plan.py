"""What would go: the rows of the lake that are older than what is kept of their customer.

Every folder of the lake is looked at in the same way, by the customer and the time of its rows, so
that a new kind of file is not forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby

import duckdb

from orchestration.contract.streams import EVENT_STREAMS, STREAMS_BY_NAME
from orchestration.errors import AgentstatsError
from orchestration.lake.policy import (
    Policy,
    fill_cutoffs,
    invalid_policies,
    kept_from,
    midnight,
    policy_files,
    read_policies,
    strictest_cutoff,
)
from orchestration.lake.verified import verified_paths
from orchestration.lake.writing import COUNTS_FOLDER, REJECTED_FOLDER
from orchestration.settings import Settings
from orchestration.storage.database import connect
from orchestration.storage.ledger import LakeFile, Ledger
from orchestration.storage.ledger.deletions import Cause
from orchestration.storage.sql import literal

# A cutoff that everything is older than, and one that nothing is.
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
_NEVER = datetime(1, 1, 1, tzinfo=UTC)


class TooMuch(AgentstatsError):
    """More would go than a run may delete; the message has the figures and the way on."""


@dataclass(frozen=True)
class Rule:
    """Whose rows go: those older than `kept_from` of their customer.

    `kept_from_without_customer` is the cutoff of rows whose customer could not be read. A rule that
    `takes_all` takes everything of the customers in `kept_from`, whatever its time, reference rows
    too; `cutoff` is then what the ledger says was kept from.
    """

    cause: Cause
    kept_from: dict[int, datetime]
    kept_from_without_customer: datetime
    takes_all: bool = False

    def cutoff_of(self, customer_id: int | None) -> datetime:
        """What the ledger says of the customer."""
        if customer_id is None:
            return self.kept_from_without_customer
        return self.kept_from[customer_id]


@dataclass(frozen=True)
class Group:
    """Rows of one customer that go from one table (a folder of the lake)."""

    customer_id: int | None
    table_name: str
    cutoff: datetime
    rows: int


@dataclass(frozen=True)
class Step:
    """Lake files of one folder and date that hold rows to go; done whole, or not at all."""

    folder: str
    occurred_date: date | None
    files: Sequence[tuple[LakeFile, int]]


@dataclass(frozen=True)
class Plan:
    """What goes, in the steps it goes in. `customers_without_policy` have events, but no row;
    `invalid_policies` says what is wrong with the rows of others of whom nothing goes; of customers
    under a legal hold `hold_from` says since which UTC date nothing goes.

    Counts of deliveries are in the steps and groups, but are rows of no customer: `rows` and
    `rows_in_lake` leave them aside. Rows that landing refused as expired hold nothing but that:
    `refused_in_lake` of them are among the `rows_in_lake`, `refused` among those that go.
    """

    rule: Rule
    steps: Sequence[Step]
    groups: Sequence[Group]
    rows_in_lake: int
    refused_in_lake: int
    refused: int
    customers_without_policy: Sequence[int]
    invalid_policies: Mapping[int, str]
    hold_from: Mapping[int, date]

    @property
    def rows(self) -> int:
        return sum(group.rows for group in self.groups if group.table_name != COUNTS_FOLDER)

    @property
    def rows_at_stake(self) -> int:
        """Rows that go and hold something."""
        return self.rows - self.refused

    @property
    def share(self) -> float:
        """The part of all rows that hold something which goes, 0 to 1."""
        in_all = self.rows_in_lake - self.refused_in_lake
        return self.rows_at_stake / in_all if in_all else 0.0


def retention_rule(
    connection: duckdb.DuckDBPyConnection, settings: Settings, ledger: Ledger
) -> Rule:
    """The rule of the nightly job."""
    policies = read_policies(connection, policy_files(settings, ledger))
    now = settings.clock()
    return Rule(
        "retention",
        kept_from(policies, now, deleted=ledger.kept_from(), erased=ledger.kept_from("erasure")),
        strictest_cutoff(policies, now),
    )


def erasure_rule(customer_id: int, kept_from: datetime) -> Rule:
    """The rule that takes everything of one customer, and rejected rows of an unknown one."""
    return Rule("erasure", {customer_id: kept_from}, midnight(kept_from), takes_all=True)


def refuse_too_much(plan: Plan, settings: Settings) -> None:
    """Raise `TooMuch` where a wrong clock or a mistake may be behind what would go."""
    allowed = settings.retention_max_delete_fraction
    if plan.share > allowed:
        raise TooMuch(
            f"nothing was deleted: {plan.rows_at_stake} of "
            f"{plan.rows_in_lake - plan.refused_in_lake} rows ({plan.share:.1%}) are "
            f"past their retention, and AGENTSTATS_RETENTION_MAX_DELETE_FRACTION={allowed:g} "
            f"allows {allowed:.1%}. By the clock it is {settings.clock():%Y-%m-%d %H:%M} UTC: if "
            "that is wrong, correct AGENTSTATS_NOW or the machine's clock; if a tier was "
            "shortened by mistake, drop the row again as it should be. `agentstats retention "
            "--dry-run` lists what would go. If all of it should, run "
            "`AGENTSTATS_RETENTION_MAX_DELETE_FRACTION=1 agentstats run nightly` once"
        )


def make_plan(settings: Settings, ledger: Ledger, rule: Rule) -> Plan:
    """Look through the lake; nothing is changed. Raises `LakeDamaged`."""
    steps: list[Step] = []
    rows_by_group: dict[tuple[int | None, str], int] = {}
    refused_in_lake = refused = 0
    with closing(connect(settings)) as connection:
        prepare(connection, rule)
        for folder in ledger.lake_folders():
            if folder in STREAMS_BY_NAME and not STREAMS_BY_NAME[folder].is_of_customers:
                continue
            files = ledger.lake_files_in(folder)
            paths_to_delete_from: set[str] = set()
            if folder == REJECTED_FOLDER:
                refused_in_lake, refused = _refused(connection, settings, ledger, rule, files)
            for path, customer_id, rows in _rows_to_delete(
                connection, settings, ledger, rule, folder, files
            ):
                paths_to_delete_from.add(path)
                group = (customer_id, folder)
                rows_by_group[group] = rows_by_group.get(group, 0) + rows
            steps += _steps(
                folder, [file for file in files if file[0].path in paths_to_delete_from]
            )
        policies = read_policies(connection, policy_files(settings, ledger))
        without_policy = _customers_without_policy(
            connection, settings, ledger, policies.of_customers
        )
    return Plan(
        rule,
        steps,
        [
            Group(customer_id, folder, rule.cutoff_of(customer_id), rows)
            for (customer_id, folder), rows in sorted(
                rows_by_group.items(), key=lambda item: (item[0][0] or 0, item[0][1])
            )
        ],
        ledger.rows_in_lake(but_in=COUNTS_FOLDER),
        refused_in_lake,
        refused,
        without_policy,
        invalid_policies(policies),
        policies.hold_from,
    )


def prepare(connection: duckdb.DuckDBPyConnection, rule: Rule) -> None:
    """Make the table `cutoff` that `is_to_be_deleted` reads."""
    kept_from = rule.kept_from
    if rule.takes_all:
        kept_from = dict.fromkeys(kept_from, FOREVER)
    fill_cutoffs(connection, "cutoff", kept_from)


def is_to_be_deleted(rule: Rule, folder: str, occurred_date: str) -> str:
    """SQL: whether a `lake_row`, left-joined with `cutoff`, goes.

    A date's rows of one customer go together: their date decides. A rejected row is of the time it
    has, if that is before it was rejected. A name has no time: it goes only with its customer.
    """
    without_customer = _NEVER if rule.takes_all else rule.kept_from_without_customer
    if folder == REJECTED_FOLDER:
        instant = (
            "least(lake_row.rejected_at, coalesce(lake_row.occurred_at, lake_row.rejected_at))"
        )
        if rule.takes_all:
            # They may be the customer's, as far as can be said.
            without_customer = FOREVER
    elif folder in STREAMS_BY_NAME and STREAMS_BY_NAME[folder].is_reference:
        instant = "timestamp '0001-01-01'" if rule.takes_all else "cast(null as timestamp)"
    else:
        instant = f"cast({occurred_date} as timestamp)"
    of_unknown = literal(without_customer.replace(tzinfo=None).isoformat(sep=" "))
    return (
        f"coalesce({instant} < case when lake_row.customer_id is null then timestamp {of_unknown} "
        "else cutoff.kept_from end, false)"
    )


def _rows_to_delete(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    ledger: Ledger,
    rule: Rule,
    folder: str,
    files: Sequence[tuple[LakeFile, int]],
) -> list[tuple[str, int | None, int]]:
    """(path, customer, rows to go) of the folder's files."""
    lake_files = [
        {
            "file": str(settings.lake / file.path),
            "path": file.path,
            "occurred_date": file.occurred_date.isoformat() if file.occurred_date else None,
        }
        for file, _ in files
    ]
    types = {"file": "varchar", "path": "varchar", "occurred_date": "date"}
    connection.execute(
        "create or replace table lake_file as select unnest(from_json(?, ?), recursive := true)",
        [json.dumps(lake_files), json.dumps([types])],
    )
    return connection.execute(
        f"""
        select lake_file.path, lake_row.customer_id, count(*)
        from read_parquet($paths, filename = 'file', hive_partitioning = false) as lake_row
        inner join lake_file on lake_row.file = lake_file.file
        left join cutoff on lake_row.customer_id = cutoff.customer_id
        where {is_to_be_deleted(rule, folder, "lake_file.occurred_date")}
        group by lake_file.path, lake_row.customer_id
        """,
        {"paths": verified_paths(settings.lake, ledger, [file for file, _ in files])},
    ).fetchall()


def _refused(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    ledger: Ledger,
    rule: Rule,
    files: Sequence[tuple[LakeFile, int]],
) -> tuple[int, int]:
    """(rows that landing refused as expired, those of them that go)."""
    rows: list[tuple[int, int]] = connection.execute(
        f"""
        select count(*), count(*) filter ({is_to_be_deleted(rule, REJECTED_FOLDER, "null")})
        from read_parquet($paths, hive_partitioning = false) as lake_row
        left join cutoff on lake_row.customer_id = cutoff.customer_id
        where lake_row.reason = 'expired'
        """,
        {"paths": verified_paths(settings.lake, ledger, [file for file, _ in files])},
    ).fetchall()
    return rows[0]


def _steps(folder: str, files: Sequence[tuple[LakeFile, int]]) -> Iterator[Step]:
    """A step for each date, and for each file that is of no date."""
    for day, of_day in groupby(files, key=lambda file: file[0].occurred_date):
        if day is None:
            yield from (Step(folder, None, [file]) for file in of_day)
        else:
            yield Step(folder, day, list(of_day))


def _customers_without_policy(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    ledger: Ledger,
    policies: Sequence[Policy],
) -> list[int]:
    """Customers with events and no row among `customers`, of whom nothing is deleted."""
    found: set[int] = set()
    known = {policy.customer_id for policy in policies}
    for stream in EVENT_STREAMS:
        paths = verified_paths(settings.lake, ledger, ledger.lake_files_of(stream.name))
        if paths:
            found |= {
                customer_id
                for (customer_id,) in connection.execute(
                    "select distinct customer_id from read_parquet($paths, "
                    "hive_partitioning = false)",
                    {"paths": paths},
                ).fetchall()
            }
    return sorted(found - known)
