"""`make spark-times`: full builds of either engine by size, and where they would meet."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import structlog

from spark.cluster import Cluster, Shape, free_port
from spark.times import measure, report


def main() -> None:
    """Measure each size once, on a cluster of its own, and print what came of it."""
    parser = argparse.ArgumentParser(prog="make spark-times", description=__doc__)
    parser.add_argument("events", nargs="*", type=int, default=[1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--worker-memory", default=Shape.worker_memory)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        shape = Shape(
            thrift_port=free_port(), master_port=free_port(), worker_memory=given.worker_memory
        )
        cluster = Cluster(Path(folder) / "cluster", shape)
        try:
            cluster.up()
            # What is started first pays for loading and compiling Spark.
            measure(Path(folder) / "warm-up", cluster, 10_000)
            for events in given.events:
                taken += measure(Path(folder) / str(events), cluster, events)
                print(*taken[-2:], sep="\n", flush=True)
        finally:
            cluster.down()
    print(report(taken))


if __name__ == "__main__":
    main()
