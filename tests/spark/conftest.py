"""The cluster that the tests of a run share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestration.spark.cluster import Cluster, Shape, free_port


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master, two workers and a Thrift server, on ports of their own."""
    shape = Shape(thrift_port=free_port(), master_port=free_port())
    started = Cluster(tmp_path_factory.mktemp("spark"), shape)
    try:
        started.up()
        yield started
    finally:
        started.down()
