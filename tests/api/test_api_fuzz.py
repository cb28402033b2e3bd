"""The small versions of `make fuzz`."""

import tomllib
from pathlib import Path

from api.openapi import ERRORS
from fuzz import (
    access,
    isolation,
    load,
    neighbour,
    schema,
    sockets,
    swaps,
    wrong_keys,
    wrong_tokens,
)


def test_the_neighbours_data_and_hostile_requests_change_no_byte() -> None:
    """Customer 1's answers are the same alone and beside any customer 2."""
    compared = isolation.run(examples=10).figures["answers compared"]
    assert isinstance(compared, int)
    assert compared >= 10 * len(isolation.PATHS)


def test_no_order_of_requests_shows_a_byte_of_another(tmp_path: Path) -> None:
    """Keys, tokens, scopes, cookies, tags and headers of two customers in turns, on one server."""
    outcome = access.run(tmp_path, requests=1_500)
    assert outcome.failures == []
    for kind in ("200", "200, compressed", "304", "401", "403", "422"):
        found = outcome.figures[kind]
        assert isinstance(found, int) and found > 10, kind


def test_wrong_tokens_are_refused(tmp_path: Path) -> None:
    """None is accepted, by secret or by public key, and no log line holds one."""
    assert wrong_tokens.run(tmp_path, requests=800).failures == []


def test_what_counts_as_a_refusal_is_what_the_schema_lists() -> None:
    """A wrong request is refused by any documented error but those of the limit and of ours."""
    config = tomllib.loads(schema.CONFIG.read_text())
    refusals = config["checks"]["negative_data_rejection"]["expected-statuses"]
    assert set(refusals) == {status for status in ERRORS if status < "500"} - {"429"}


def test_every_answer_is_as_the_schema_says(tmp_path: Path) -> None:
    """All checks of schemathesis, without its slow phase, which tries each of 598 zones."""
    outcome = schema.run(tmp_path, examples=5, phases="examples,fuzzing")
    assert outcome.failures == []


def test_wrong_keys_are_refused_in_bounded_memory(tmp_path: Path) -> None:
    """None is accepted, and no log line holds a key."""
    assert wrong_keys.run(tmp_path, requests=200, addresses=20).failures == []


def test_trickling_sockets_are_cut_while_others_are_served(tmp_path: Path) -> None:
    """Each is cut, and normal requests stay quick."""
    outcome = sockets.trickle(tmp_path, sockets=20, header_timeout_seconds=1)
    assert outcome.failures == []


def test_sockets_that_read_nothing_are_cut_while_others_are_served(tmp_path: Path) -> None:
    """Each is cut, and normal requests stay quick."""
    outcome = sockets.leave_unread(tmp_path, sockets=20, answer_timeout_seconds=1)
    assert outcome.failures == []


def test_nothing_fails_while_two_workers_swap_snapshots(tmp_path: Path) -> None:
    """Header and body of every answer are of one snapshot, and none is an error."""
    assert swaps.run(tmp_path, count=5, workers=2).failures == []


def test_load_can_be_measured(tmp_path: Path) -> None:
    """Every question is answered for the smallest and the largest customer."""
    assert load.run(tmp_path, customers=5, days=3, requests=5).failures == []


def test_a_customer_who_asks_much_brings_no_error_to_another(tmp_path: Path) -> None:
    """Each of B's answers is there while A asks 50 at a time about 20,000 agents."""
    outcome = neighbour.run(tmp_path, agents=20_000, seconds=3)
    assert outcome.failures == []
