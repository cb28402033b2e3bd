"""What something costs: seconds on the clock, seconds of all processors, memory at its peak."""

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """What one run cost, with all of its child processes; the peak is that of the largest."""

    wall_seconds: float
    cpu_seconds: float
    peak_mib: float


def of_command(command: Sequence[str | Path], *, environment: Mapping[str, str], log: Path) -> Cost:
    """The cost of a program, from its start to its end. Raises RuntimeError if it fails."""
    began = time.perf_counter()
    with log.open("wb") as written:
        actions = [(os.POSIX_SPAWN_DUP2, written.fileno(), number) for number in (1, 2)]
        process = os.posix_spawnp(
            str(command[0]), [str(part) for part in command], environment, file_actions=actions
        )
        # Its own times and those of all the children that it waited for.
        _, status, used = os.wait4(process, 0)
    if status != 0:
        tail = log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{tail}")
    return Cost(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def interleaved(
    contestants: Mapping[str, Callable[[], Cost]], *, rounds: int
) -> dict[str, list[Cost]]:
    """The costs of each, measured in turns: whatever slows the machine down, slows all of them."""
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    for number in range(rounds):
        names = list(contestants)
        # The other way round each time, so that none always comes after the same neighbour.
        for name in names if number % 2 == 0 else reversed(names):
            costs[name].append(contestants[name]())
    return costs


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each part."""
    return Cost(*(statistics.median(part) for part in zip(*map(astuple, costs), strict=True)))


def ratio(costs: Sequence[float], to: Sequence[float]) -> float:
    """The median over rounds of what one costs as a multiple of the other in the same round."""
    return statistics.median(one / other for one, other in zip(costs, to, strict=True))


def cpu_of_processes(ancestor: int) -> float:
    """CPU seconds so far of a process and of all that descend from it."""
    seconds: dict[int, float] = {}
    children: dict[int, list[int]] = {}
    # By each one's parent: the kernel's lists of children may leave some out while others end.
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        process = int(stat.parent.name)
        children.setdefault(int(fields[1]), []).append(process)
        # utime, stime, and those of children that have ended.
        seconds[process] = sum(map(int, fields[11:15])) / TICKS
    found = [ancestor]
    for process in found:
        found += children.get(process, [])
    return sum(seconds.get(process, 0) for process in found)
