"""The cluster that the tests of a run share, and the events that most of them begin with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spark.cluster import QUICK_JAVA, Cluster, Shape, free_port
from spark.deliveries import NOW
from spark.engine_pair import EnginePair
from spark.generated import IS_BIG, deliver_first


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master, two workers and a Thrift server, on ports of their own."""
    shape = Shape(
        thrift_port=free_port(),
        master_port=free_port(),
        executor_options="" if IS_BIG else QUICK_JAVA,
    )
    started = Cluster(tmp_path_factory.mktemp("spark"), shape)
    try:
        started.up()
        yield started
    finally:
        started.down()


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[EnginePair]:
    """Both engines with the first delivery of generated events, built in full and published."""
    with pytest.MonkeyPatch.context() as environment:
        folder = tmp_path_factory.mktemp("generated")
        pair = EnginePair(folder, environment, NOW.isoformat(), cluster)
        # Whole dates go in these tests, which is more than a night may take.
        environment.setenv("AGENTSTATS_RETENTION_MAX_DELETE_FRACTION", "1")
        deliver_first(pair, folder / "first")
        pair.run()
        yield pair
