"""The small versions of `make fuzz`."""

from pathlib import Path

from fuzz import isolation, runs


def test_the_neighbours_data_and_hostile_requests_change_no_byte() -> None:
    """Customer 1's answers are the same alone and beside any customer 2."""
    assert isolation.check(examples=10) >= 10 * len(isolation.PATHS)


def test_every_answer_is_as_the_schema_says(tmp_path: Path) -> None:
    """All checks of schemathesis, without its slow phase, which tries each of 598 zones."""
    outcome = runs.schema(tmp_path, examples=5, phases="examples,fuzzing")
    assert outcome.failures == []


def test_wrong_keys_are_refused_in_bounded_memory(tmp_path: Path) -> None:
    """None is accepted, and no log line holds a key."""
    assert runs.wrong_keys(tmp_path, requests=200, addresses=20).failures == []


def test_trickling_sockets_are_cut_while_others_are_served(tmp_path: Path) -> None:
    """Each is cut, and normal requests stay quick."""
    outcome = runs.trickle(tmp_path, sockets=20, header_timeout_seconds=1)
    assert outcome.failures == []


def test_nothing_fails_while_two_workers_swap_snapshots(tmp_path: Path) -> None:
    """Header and body of every answer are of one snapshot, and none is an error."""
    assert runs.swaps(tmp_path, count=5, workers=2).failures == []


def test_load_can_be_measured(tmp_path: Path) -> None:
    """Every question is answered for the smallest and the largest customer."""
    assert runs.load(tmp_path, customers=5, days=3, requests=5).failures == []
