"""Landing and deletion against a model in plain Python, over random histories."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from installation import usage_event
from retention.lakes import Lake
from retention.test_nightly_deletes import customer

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
# Of all customers of a tier, by default, and at most where they have their own.
Days = tuple[int | None, int | None, int | None]
BUILT_IN: dict[str, Days] = {
    "free": (7, None, None),
    "starter": (30, None, None),
    "pro": (90, None, None),
    "enterprise": (None, 365, 2557),
}


@dataclass
class Model:
    """What should be kept, by the contract: each event by its id, each rejected row by its time."""

    customers: dict[int, tuple[str, int]] = field(default_factory=dict)
    """The tier of each customer, and the days of its own."""
    tiers: dict[str, Days] = field(default_factory=lambda: dict(BUILT_IN))
    holds: dict[int, datetime] = field(default_factory=dict)
    events: dict[tuple[int, str], datetime] = field(default_factory=dict)
    expired: list[tuple[int, datetime]] = field(default_factory=list)
    never_again: dict[int, datetime] = field(default_factory=dict)
    deleted: Counter[tuple[int, str]] = field(default_factory=Counter)

    def days_of(self, customer_id: int) -> int | None:
        """None where nothing is to be deleted."""
        if customer_id not in self.customers:
            return None
        tier, own = self.customers[customer_id]
        fixed, by_default, most = self.tiers.get(tier, (None, None, None))
        if fixed is not None:
            return fixed
        if most is not None:
            return own if own <= most else None
        return by_default

    def kept_from(self, customer_id: int, now: datetime) -> datetime:
        first = datetime.min.replace(tzinfo=UTC)
        if (days := self.days_of(customer_id)) is not None:
            day = now.date() - timedelta(days=days)
            first = datetime.combine(day, time.min, tzinfo=UTC)
        first = max(first, self.never_again.get(customer_id, first))
        return min(first, self.holds.get(customer_id, first))

    def land(self, customer_id: int, event_id: str, occurred_at: datetime, now: datetime) -> None:
        if occurred_at < self.kept_from(customer_id, now):
            self.expired.append((customer_id, occurred_at))
        else:
            self.events[customer_id, event_id] = occurred_at

    def delete(self, now: datetime) -> None:
        cutoffs = {customer_id: self.kept_from(customer_id, now) for customer_id in (1, 2, 3)}
        for (customer_id, event_id), occurred_at in list(self.events.items()):
            if occurred_at < cutoffs[customer_id]:
                del self.events[customer_id, event_id]
                self._note(customer_id, "agent_usage_events", cutoffs)
        for customer_id, occurred_at in list(self.expired):
            if occurred_at < cutoffs[customer_id]:
                self.expired.remove((customer_id, occurred_at))
                self._note(customer_id, "rejected_rows", cutoffs)

    def _note(self, customer_id: int, table: str, cutoffs: dict[int, datetime]) -> None:
        self.deleted[customer_id, table] += 1
        # A hold lets less go than went before; once it has ended, what went stays away again.
        before = self.never_again.get(customer_id, cutoffs[customer_id])
        self.never_again[customer_id] = max(before, cutoffs[customer_id])


customers = st.sampled_from([1, 2, 3])
# Seconds around midnight, and any time of the day.
seconds = st.one_of(st.sampled_from([0, 1, 86_399]), st.integers(0, 86_399))
actions = st.one_of(
    st.tuples(st.just("customer"), customers, st.sampled_from([*BUILT_IN, "trial"])),
    st.tuples(
        st.just("tier"),
        st.sampled_from(["free", "pro", "enterprise", "trial"]),
        st.tuples(*[st.none() | st.integers(1, 40)] * 3),
    ),
    st.tuples(st.just("hold"), customers, st.none() | st.integers(0, 45)),
    st.tuples(
        st.just("events"),
        st.lists(
            st.tuples(customers, st.integers(1, 6), st.integers(0, 40), seconds),
            min_size=1,
            max_size=8,
        ),
    ),
    st.tuples(st.just("again")),
    st.tuples(st.just("wait"), st.sampled_from([1, 6, 7, 8, 23, 30])),
    st.tuples(st.just("delete")),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(st.lists(actions, min_size=3, max_size=12))
def test_every_history_leaves_what_the_model_keeps(history: list[tuple[object, ...]]) -> None:
    """Tiers change, holds come and end, events come late and again, days pass.

    Lake and ledger are the model's.
    """
    with tempfile.TemporaryDirectory() as folder:
        now = START
        lake, model = Lake(Path(folder), now.isoformat()), Model()
        # An id's time never changes, whatever is drawn for it later.
        times: dict[tuple[int, int], datetime] = {}
        deliveries: list[list[tuple[int, int]]] = []
        for number, (action, *given_values) in enumerate([*history, ("delete",)]):
            lake.now = now.isoformat()
            updated = {"updated_at": (START + timedelta(seconds=number)).isoformat()}
            if action == "tier":
                tier, days_of_it = given_values
                assert isinstance(tier, str) and isinstance(days_of_it, tuple)
                names = ("retention_days", "default_retention_days", "max_retention_days")
                given_days = dict(zip(names, days_of_it, strict=True))
                lake.drop("tiers", [{"tier": tier, **given_days, **updated}])
                lake.land()
                model.tiers[tier] = days_of_it
            elif action == "hold":
                customer_id, days_back = given_values
                assert isinstance(customer_id, int)
                day = now.date() - timedelta(days=days_back if isinstance(days_back, int) else 0)
                hold = {"hold_from": day.isoformat(), "released": days_back is None}
                lake.drop("legal_holds", [{"customer_id": customer_id, **hold, **updated}])
                lake.land()
                model.holds.pop(customer_id, None)
                if days_back is not None:
                    first = datetime.combine(day, time.min, tzinfo=UTC)
                    model.holds[customer_id] = first
            elif action == "customer":
                customer_id, tier = given_values
                assert isinstance(customer_id, int) and isinstance(tier, str)
                days = 1 + number * 5
                lake.drop(
                    "customers", [customer(customer_id, tier, retention_days=days, **updated)]
                )
                lake.land()
                model.customers[customer_id] = (tier, days)
            elif action in {"events", "again"}:
                if action == "events":
                    (drawn,) = given_values
                    assert isinstance(drawn, list)
                    for customer_id, event, days_ago, second in drawn:
                        day = datetime.combine(now.date(), time.min, tzinfo=UTC)
                        occurred_at = day - timedelta(days=days_ago) + timedelta(seconds=second)
                        times.setdefault((customer_id, event), min(occurred_at, now))
                    deliveries.append(list(dict.fromkeys((each[0], each[1]) for each in drawn)))
                for delivery in deliveries[-1:] if action == "events" else deliveries:
                    rows = []
                    for customer_id, event in delivery:
                        occurred_at = times[customer_id, event]
                        rows.append(
                            usage_event(
                                event,
                                customer_id=customer_id,
                                occurred_at=occurred_at.isoformat(),
                                received_at=occurred_at.isoformat(),
                            )
                        )
                        model.land(customer_id, f"event-{event}", occurred_at, now)
                    lake.drop("agent_usage_events", rows)
                lake.land()
            elif action == "wait":
                (waited,) = given_values
                assert isinstance(waited, int)
                now += timedelta(days=waited)
            else:
                lake.delete()
                model.delete(now)
                assert lake.delete() == 0
        kept = {
            (row["customer_id"], row["event_id"]): row["occurred_at"].replace(tzinfo=UTC)
            for row in lake.rows("agent_usage_events")
        }
        assert kept == model.events
        assert len(lake.rows("rejected_rows")) == len(model.expired)
        assert lake.deleted_rows() == model.deleted
        assert lake.agrees_with_ledger()
