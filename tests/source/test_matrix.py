"""Nasty values in a source's tables: each is one row's fault, whatever type its column has."""

from __future__ import annotations

import pytest

from fuzz.outcome import Outcome
from installation import Installation
from source.matrix import PostgresMatrix
from source.server import Server
from torture.matrix import check_jobs

pytestmark = pytest.mark.postgres


def test_a_value_of_a_table_harms_no_row_but_its_own(
    server: Server, platform: Installation
) -> None:
    """Every column, in each of the types that it may have: each row ends as the contract says, and
    the good rows are counted in the same run."""
    outcome = Outcome()
    matrix = PostgresMatrix(seed=1, types_of_a_column=None, of_one_column=False)
    matrix.pull_all(server, platform)
    assert matrix.trials() > 5000
    platform.environment.delenv("AGENTSTATS_POSTGRES_URL")
    matrix.drop_good(platform)
    check_jobs(outcome, platform, matrix)
    assert outcome.failures == []
