"""A real Spark cluster on the loopback: a standalone master, two workers and a Thrift server.

    python -m spark.cluster up|down

It is made of PyPI's pyspark (`requirements-spark.lock`) and Debian's Java, and is for trying and
testing; docs/scaling.md says how to point agentstats at a cluster that is there already.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from published_demo import CHECKOUT

HOST = "127.0.0.1"
FOLDER = CHECKOUT / "build" / "spark"
MASTER, THRIFT_SERVER = "master", "thrift-server"

# Code that runs a few times only is compiled quickly rather than well. By default Java would then
# keep 48 MB for it, which the queries of one build fill: a driver without room ends.
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=240m"

_SPILLED = "spilled"

_SECONDS_TO_START = 300
_SECONDS_TO_STOP = 20


# Spark logs each step of each plan otherwise, which costs more than a small query does.
_LOGGING = """\
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d %p %c{1}: %m%n%ex
logger.hive.name = org.apache.hadoop.hive.conf.HiveConf
logger.hive.level = error
"""


class ClusterFailed(Exception):
    """The cluster could not be started; the message says what to do or where to look."""


@dataclass(frozen=True)
class Shape:
    """How large the cluster is, and where it listens. `worker_memory` is an executor's as well;
    `threads` statements run at a time, `executor_options` are for the executors' Java."""

    thrift_port: int = 10000
    master_port: int = 7077
    workers: int = 2
    worker_cores: int = 1
    worker_memory: str = "1g"
    driver_memory: str = "1g"
    threads: int = 8
    executor_options: str = ""

    @property
    def master_url(self) -> str:
        return f"spark://{HOST}:{self.master_port}"

    @property
    def worker_names(self) -> list[str]:
        return [f"worker-{number}" for number in range(1, self.workers + 1)]


@dataclass(frozen=True)
class Process:
    """A process that was started; `started` is not that of a later one of the same id."""

    pid: int
    started: str

    @property
    def is_alive(self) -> bool:
        return started_at(self.pid) == self.started


class Cluster:
    """The cluster that belongs to a folder, whichever process started it.

    The folder holds the logs, the metastore and what workers spill.
    """

    def __init__(self, folder: Path = FOLDER, shape: Shape | None = None) -> None:
        self.folder = folder
        self._state = folder / "processes.json"
        self.shape = shape or self._recorded_shape() or Shape()

    def processes(self) -> dict[str, Process]:
        """Every process that was started and not stopped, by what it is."""
        if not self._state.exists():
            return {}
        recorded = json.loads(self._state.read_text())["processes"]
        return {name: Process(**process) for name, process in recorded.items()}

    def up(self) -> None:
        """Start what is not running, and wait until statements can be sent."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "log4j2.properties").write_text(_LOGGING)
        self.start(MASTER)
        for name in self.shape.worker_names:
            self.start(name)
        self.start(THRIFT_SERVER)

    def start(self, name: str) -> None:
        """Start one part, unless it runs; the master and the Thrift server are waited for."""
        running = self.processes().get(name)
        if running is not None and running.is_alive:
            return
        port = {MASTER: self.shape.master_port, THRIFT_SERVER: self.shape.thrift_port}.get(name)
        if port is not None and _listens(port):
            raise ClusterFailed(
                f"port {port} of {HOST} is taken by another program; stop it, or choose another "
                "port (`--thrift-port`, `--master-port`)"
            )
        process = self._spawn(name, self._command(name))
        self._record({**self.processes(), name: process})
        if port is not None:
            self._wait(lambda: _listens(port), name, process)

    def kill(self, name: str) -> None:
        """End one part at once, with what it started: a worker's executors too."""
        processes = self.processes()
        _signal(processes.pop(name), signal.SIGKILL)
        self._record(processes)

    def down(self) -> None:
        """Stop everything that this folder's cluster started, and remove what workers spilled.

        What is spilled are rows of events, which must not outlive their retention there.
        """
        processes = self.processes()
        for name in reversed(processes):
            _signal(processes[name], signal.SIGTERM)
        deadline = time.monotonic() + _SECONDS_TO_STOP
        while any(process.is_alive for process in processes.values()):
            if time.monotonic() > deadline:
                for process in processes.values():
                    _signal(process, signal.SIGKILL)
            time.sleep(0.1)
        self._state.unlink(missing_ok=True)
        for name in (_SPILLED, *self.shape.worker_names):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def log_of(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _command(self, name: str) -> list[str]:
        shape = self.shape
        spark_class = str(_spark_home() / "bin" / "spark-class")
        if name == MASTER:
            return [
                *(spark_class, "org.apache.spark.deploy.master.Master"),
                *("--host", HOST, "--port", str(shape.master_port), "--webui-port", "0"),
            ]
        if name != THRIFT_SERVER:
            return [
                *(spark_class, "org.apache.spark.deploy.worker.Worker"),
                *("--host", HOST, "--webui-port", "0"),
                *("--cores", str(shape.worker_cores), "--memory", shape.worker_memory),
                *("--work-dir", str(self.folder / name), shape.master_url),
            ]
        configuration = {
            "spark.driver.host": HOST,
            "spark.driver.bindAddress": HOST,
            "spark.executor.memory": shape.worker_memory,
            "spark.executor.cores": str(shape.worker_cores),
            "spark.executor.extraJavaOptions": shape.executor_options,
            # One task for each core at a time; the default of 200 is for another size of cluster.
            "spark.sql.shuffle.partitions": str(2 * shape.workers * shape.worker_cores),
            "spark.ui.enabled": "false",
            # Each plan is written down for the UI all the same.
            "spark.sql.ui.explainMode": "simple",
            "spark.sql.warehouse.dir": f"file://{self.folder / 'warehouse'}",
            "spark.hadoop.javax.jdo.option.ConnectionURL": (
                f"jdbc:derby:;databaseName={self.folder / 'metastore'};create=true"
            ),
        }
        return [
            str(_spark_home() / "bin" / "spark-submit"),
            *("--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"),
            *("--master", shape.master_url, "--driver-memory", shape.driver_memory),
            *(part for item in configuration.items() for part in ("--conf", "=".join(item))),
            *(
                "--driver-java-options",
                # The driver plans and reads no data: compiling its own code well costs more than
                # it gains, half as much again for each statement.
                f"-Dderby.stream.error.file={self.folder / 'metastore.log'} {QUICK_JAVA}",
            ),
            "spark-internal",
            *("--hiveconf", f"hive.server2.thrift.bind.host={HOST}"),
            *("--hiveconf", f"hive.server2.thrift.port={shape.thrift_port}"),
            # Each thread opens the metastore for itself, which costs more than a small query, and
            # by default the first hundred statements have a thread of their own.
            *("--hiveconf", f"hive.server2.async.exec.threads={shape.threads}"),
        ]

    def _spawn(self, name: str, command: Sequence[str]) -> Process:
        environment = {
            **os.environ,
            "SPARK_HOME": str(_spark_home()),
            "SPARK_LOCAL_IP": HOST,
            "SPARK_NO_DAEMONIZE": "1",
            "SPARK_DAEMON_MEMORY": "512m",
            "SPARK_LOCAL_DIRS": str(self.folder / _SPILLED),
            "SPARK_CONF_DIR": str(self.folder),
            # Spark starts Python nowhere here, but asks for it on the way.
            "PYSPARK_PYTHON": sys.executable,
        }
        with self.log_of(name).open("ab") as log:
            started = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A group of its own: it outlives this process, and is ended as a whole.
                start_new_session=True,
            )
        return Process(started.pid, started_at(started.pid) or "")

    def _wait(self, is_ready: Callable[[], bool], name: str, process: Process) -> None:
        deadline = time.monotonic() + _SECONDS_TO_START
        while not is_ready():
            if not process.is_alive or time.monotonic() > deadline:
                raise ClusterFailed(f"the {name} did not start; {self.log_of(name)} says why")
            time.sleep(0.2)

    def _record(self, processes: dict[str, Process]) -> None:
        self._state.write_text(
            json.dumps(
                {
                    "shape": asdict(self.shape),
                    "processes": {name: asdict(process) for name, process in processes.items()},
                },
                indent=2,
            )
        )

    def _recorded_shape(self) -> Shape | None:
        if not self._state.exists():
            return None
        return Shape(**json.loads(self._state.read_text())["shape"])


def free_port() -> int:
    """A port of the loopback that no process listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def started_at(pid: int) -> str | None:
    """When a process was started, in ticks since boot; None where there is none, or it is over."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if after_name[0] in "ZX" else after_name[19]


def _signal(process: Process, number: signal.Signals) -> None:
    if process.is_alive:
        os.killpg(process.pid, number)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def _spark_home() -> Path:
    found = find_spec("pyspark")
    if found is None or found.origin is None:
        raise ClusterFailed("pyspark is not installed; `make spark-up` installs it")
    return Path(found.origin).parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Start or stop the cluster of a folder."""
    parser = argparse.ArgumentParser(
        prog="python -m spark.cluster", description="A Spark cluster on 127.0.0.1."
    )
    parser.add_argument("action", choices=["up", "down"])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="Logs, metastore, spill.")
    parser.add_argument("--thrift-port", type=int, default=Shape.thrift_port)
    parser.add_argument("--master-port", type=int, default=Shape.master_port)
    parser.add_argument("--worker-memory", default=Shape.worker_memory)
    given = parser.parse_args(arguments)
    if given.action == "down":
        Cluster(given.folder).down()
        print("stopped")
        return 0
    shape = Shape(
        thrift_port=given.thrift_port,
        master_port=given.master_port,
        worker_memory=given.worker_memory,
    )
    cluster = Cluster(given.folder, shape)
    try:
        cluster.up()
    except ClusterFailed as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    print(
        f"Thrift server on {HOST}:{shape.thrift_port}, {shape.workers} workers, "
        f"logs in {cluster.folder}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
