"""The invented fleet: who the customers are, and which agents and agent types they run."""

from __future__ import annotations

import random
from dataclasses import dataclass

LONGEST_RETENTION_DAYS = 730
"""Retention of the largest customer."""

CUSTOMER_NAMES = (
    "Northwind Logistics", "Alder & Finch Insurance", "Meridian Health", "Kestrel Bank",
    "Blue Harbor Travel", "Quill Legal", "Ostrava Steel", "Lumen Utilities", "Papaya Retail",
    "Sable Telecom", "Greenfield Foods", "Orchard Schools", "Fjord Shipping", "Juniper Energy",
    "Cobalt Software", "Harvest Payroll", "Maple Street Clinic", "Tern Airlines", "Zephyr Games",
    "Willow Home Care", "Copperline Rail", "Sunrise Hotels", "Larkspur Media", "Granite Builders",
    "Brightside Dental", "Nimbus Storage", "Tidewater Realty", "Basil & Thyme Kitchens",
    "Pine Ridge Outfitters", "Saffron Catering", "Ember Fitness", "Cedar Bookkeeping",
    "Violet Florists", "Anchor Marine Supply", "Dovetail Joinery", "Pebble Apps", "Sparrow Courier",
    "Inkwell Press", "Marigold Tutors", "Tin Roof Records",
)  # fmt: skip

TIERS_BY_SIZE = (
    "enterprise", "pro", "enterprise", "pro", "starter", "pro", "enterprise", "starter", "pro",
    "free", "pro", "starter", "pro", "enterprise", "starter", "pro", "free", "starter", "pro",
    "starter", "free", "pro", "starter", "free", "starter", "free", "enterprise", "starter",
    "free", "pro", "starter", "free", "free", "starter", "free", "free", "pro", "free", "starter",
    "free",
)  # fmt: skip
"""Tier of each customer, largest first; as long as `CUSTOMER_NAMES`."""

ENTERPRISE_RETENTION_DAYS = (LONGEST_RETENTION_DAYS, None, 1095, 180, 2557)
"""Given to the enterprise customers in turn; None is the tier's default."""

HOME_ZONES = (
    "America/New_York", "Europe/Berlin", "America/Los_Angeles", "Asia/Kolkata", "Europe/London",
    "Australia/Sydney", "Asia/Kathmandu", "America/Sao_Paulo",
)  # fmt: skip


@dataclass(frozen=True)
class TypeTemplate:
    """A kind of work: median tokens of a call, how often replies hold personal data, mean stars.

    `pii_factor` is relative to the fleet's average. `stars_lost_medium` and `stars_lost_high`
    are taken from the mean rating at 3-5 and at 6+ running instances.
    """

    name: str
    agent_names: tuple[str, ...]
    family: str
    input_tokens: int
    output_tokens: int
    pii_factor: float
    stars: float
    stars_lost_medium: float = 0.0
    stars_lost_high: float = 0.0


# The first six are the largest customer's, in this order: the first falls at high load, the
# third already at medium load, the others hold steady.
TEMPLATES = (
    TypeTemplate("Customer Support", ("Support Bot", "Help Desk", "Chat Concierge"),
                 "claude-sonnet", 900, 240, 1.2, 4.5, 0.0, 0.9),
    TypeTemplate("Invoice Processing", ("Invoice Reader", "Receipt Matcher", "Ledger Clerk"),
                 "gpt-4", 3200, 180, 1.5, 4.3),
    TypeTemplate("Order Tracking", ("Parcel Tracker", "Delivery Desk", "Returns Bot"),
                 "claude-haiku", 450, 110, 1.0, 4.4, 0.6, 0.9),
    TypeTemplate("Knowledge Search", ("Handbook Search", "Policy Finder", "Wiki Guide"),
                 "claude-sonnet", 5200, 420, 0.4, 4.2),
    TypeTemplate("Sales Outreach", ("Lead Scout", "Quote Writer", "Follow-up Bot"),
                 "gpt-4", 1100, 380, 1.1, 3.9),
    TypeTemplate("Code Review", ("Diff Reviewer", "Test Writer", "Build Doctor"),
                 "claude-opus", 7800, 900, 0.1, 4.3),
    TypeTemplate("Appointment Booking", ("Calendar Bot", "Front Desk", "Reminder Bot"),
                 "claude-haiku", 520, 90, 1.4, 4.6),
    TypeTemplate("Document Summaries", ("Brief Writer", "Minutes Taker", "Digest Bot"),
                 "llama", 6400, 520, 0.6, 4.1),
    TypeTemplate("HR Questions", ("Benefits Guide", "Onboarding Buddy", "Leave Desk"),
                 "gpt-4", 1500, 260, 1.3, 4.2, 0.2, 0.6),
    TypeTemplate("Translation", ("Translator", "Subtitle Writer", "Glossary Keeper"),
                 "llama", 800, 780, 0.5, 4.4),
)  # fmt: skip


@dataclass(frozen=True)
class Customer:
    """A tenant; `weight` is its part of all traffic, `weekend_factor` that of a weekend day."""

    customer_id: int
    customer_name: str
    tier: str
    retention_days: int | None
    zone: str
    weight: float
    weekend_factor: float


@dataclass(frozen=True)
class AgentType:
    """An agent type of one customer; `small_model_share` of its calls go to a cheaper model."""

    agent_type_id: int
    customer_id: int
    agent_type_name: str
    template: TypeTemplate
    small_model_share: float
    agent_count: int


@dataclass(frozen=True)
class Agent:
    """An agent; `former_name` is its name before it was renamed, None where it never was.

    `is_listed` is False where the source never sent its reference row.
    """

    agent_id: int
    customer_id: int
    agent_type_id: int
    agent_name: str
    former_name: str | None
    is_listed: bool
    weight: float


@dataclass(frozen=True)
class Fleet:
    """All customers (largest first), agent types and agents."""

    customers: tuple[Customer, ...]
    agent_types: tuple[AgentType, ...]
    agents: tuple[Agent, ...]

    @property
    def load_sensitive_agent_type_id(self) -> int:
        """The largest customer's agent type whose ratings fall clearly at high load."""
        return self.agent_types[0].agent_type_id


def build_fleet(seed: int) -> Fleet:
    """Return the fleet of this seed: 40 customers of 1..6 agent types and 2..40 agents each."""
    chance = random.Random(seed)
    customers = _customers(chance)
    agent_types: list[AgentType] = []
    agents: list[Agent] = []
    for size_rank, customer in enumerate(customers):
        own_types = _agent_types(chance, customer, size_rank, first_id=501 + len(agent_types))
        agent_types.extend(own_types)
        agents.extend(_agents(chance, own_types, size_rank, first_id=2001 + len(agents)))
    return Fleet(tuple(customers), tuple(agent_types), tuple(agents))


def _customers(chance: random.Random) -> list[Customer]:
    customer_ids = list(range(1001, 1001 + len(CUSTOMER_NAMES)))
    # Shuffled, so that neither an id nor a name shows the size.
    chance.shuffle(customer_ids)
    enterprise_retention_days = iter(ENTERPRISE_RETENTION_DAYS)
    return [
        Customer(
            customer_id=customer_ids[size_rank],
            customer_name=name,
            tier=tier,
            retention_days=next(enterprise_retention_days) if tier == "enterprise" else None,
            # The largest keeps office hours of one known zone, so that its charts look familiar.
            zone=HOME_ZONES[0] if size_rank == 0 else chance.choice(HOME_ZONES),
            weight=(size_rank + 1) ** -0.95,
            weekend_factor=0.25 if size_rank == 0 else chance.uniform(0.15, 0.7),
        )
        for size_rank, (name, tier) in enumerate(zip(CUSTOMER_NAMES, TIERS_BY_SIZE, strict=True))
    ]


def _agent_types(
    chance: random.Random, customer: Customer, size_rank: int, *, first_id: int
) -> list[AgentType]:
    if size_rank == 0:
        templates = list(TEMPLATES[:6])
        agent_counts = [12, 8, 8, 5, 4, 3]
    else:
        # The busier customers run several types each; any other may run a single one.
        templates = chance.sample(TEMPLATES, chance.randint(3 if size_rank < 8 else 1, 6))
        agent_counts = [chance.randint(2, max(2, 6 - size_rank // 10)) for _template in templates]
    return [
        AgentType(
            agent_type_id=first_id + position,
            customer_id=customer.customer_id,
            agent_type_name=template.name,
            template=template,
            small_model_share=chance.choice((0.0, 0.05, 0.12)),
            agent_count=agent_count,
        )
        for position, (template, agent_count) in enumerate(
            zip(templates, agent_counts, strict=True)
        )
    ]


def _agents(
    chance: random.Random, agent_types: list[AgentType], size_rank: int, *, first_id: int
) -> list[Agent]:
    agents: list[Agent] = []
    for type_position, agent_type in enumerate(agent_types):
        names = agent_type.template.agent_names
        for position in range(agent_type.agent_count):
            round_number = position // len(names) + 1
            name = names[position % len(names)]
            if round_number > 1:
                name = f"{name} {round_number}"
            is_renamed = chance.random() < 0.06 or (
                size_rank == 0 and type_position == position == 0
            )
            agents.append(
                Agent(
                    agent_id=first_id + len(agents),
                    customer_id=agent_type.customer_id,
                    agent_type_id=agent_type.agent_type_id,
                    agent_name=name,
                    former_name=f"{name} (pilot)" if is_renamed else None,
                    # One agent of a middling customer has no row and goes by its number.
                    is_listed=not (size_rank == 4 and type_position == 0 and position == 1),
                    # Busy types and busy agents first, with no two alike.
                    weight=chance.uniform(0.8, 1.2) / ((1 + 0.5 * type_position) * (2 + position)),
                )
            )
    return agents
