"""What a benchmark found: a file of its own, and one table of all of them."""

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import machine

RESULTS = Path(__file__).resolve().parent / "results"
HEAD = """# Results

Written by `make bench`; every figure is a ratio of two things measured in turns within one run.
`share` is the share of the full size that was run.
`make bench BENCH_ARGS=--draw` draws these figures, without a new run, to `build/pictures/`.

"""
CURVES_HEAD = """\
A slope of 1 is a cost that grows as the size does, one of 0 a cost that does not grow.

| growth with | slope of CPU | of wall time | of peak memory | of CPU, last two points |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Figure:
    """One ratio. Without a `limit` it has no goal; `least` turns the limit round."""

    what: str
    against: str
    ratio: float
    limit: float | None = None
    least: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether the goal is met; None without one."""
        if self.limit is None:
            return None
        return self.ratio >= self.limit if self.least else self.ratio <= self.limit

    @property
    def goal(self) -> str:
        """The goal, for people."""
        return "" if self.limit is None else f"{'≥' if self.least else '≤'} {self.limit:g}×"


@dataclass(frozen=True)
class Curve:
    """How costs grow with a size: CPU seconds, wall seconds and peak memory in MiB at each."""

    name: str
    of: str
    points: list[tuple[float, float, float, float]]
    """Size, CPU seconds, wall seconds, MiB; by size."""

    def slope(self, column: int = 1, *, last: int | None = None) -> float:
        """The power of the size that a cost grows with: least squares over logarithms.

        Over the `last` points only, where that is given: what does not grow is less there.
        """
        points = self.points[-last:] if last else self.points
        sizes = [math.log(point[0]) for point in points]
        costs = [math.log(point[column]) for point in points]
        size, cost = sum(sizes) / len(points), sum(costs) / len(points)
        return sum((x - size) * (y - cost) for x, y in zip(sizes, costs, strict=True)) / sum(
            (x - size) ** 2 for x in sizes
        )


@dataclass
class Report:
    """The figures of one benchmark and what they were made from."""

    name: str
    title: str
    share: float = 1.0
    figures: list[Figure] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    measured: dict[str, object] = field(default_factory=dict)
    """Medians that the ratios come from, in their own units."""
    machine: dict[str, str] = field(default_factory=machine.description)

    def add(
        self,
        what: str,
        against: str,
        ratio: float,
        limit: float | None = None,
        *,
        least: bool = False,
    ) -> None:
        """Note a figure."""
        self.figures.append(Figure(what, against, round(ratio, 3), limit, least))

    def write(self) -> None:
        """Write the file of this benchmark, and the table of all that have one."""
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False)
        (RESULTS / f"{self.name}.json").write_text(f"{text}\n", encoding="utf-8")
        (RESULTS / "README.md").write_text(table(read_all()), encoding="utf-8")


def read_all() -> list[Report]:
    """Every report there is, by name."""
    reports = []
    for path in sorted(RESULTS.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        figures = [Figure(**figure) for figure in found.pop("figures")]
        curves = [
            Curve(**{**curve, "points": [tuple(point) for point in curve["points"]]})
            for curve in found.pop("curves", [])
        ]
        reports.append(Report(figures=figures, curves=curves, **found))
    return reports


def table(reports: list[Report]) -> str:
    """All figures as Markdown, each report with what it was measured on."""
    parts = [HEAD]
    for report in reports:
        parts.append(f"## {report.title}\n\n")
        parts.append(f"`make bench BENCH_ARGS={report.name}`, share {report.share:g}. ")
        parts.append("; ".join(f"{name}: {value}" for name, value in report.machine.items()))
        parts.append(".\n\n")
        if report.figures:
            parts.append("| what | against | ratio | goal | met |\n|---|---|---|---|---|\n")
        for figure in report.figures:
            met = {True: "yes", False: "no", None: ""}[figure.holds]
            cells = (figure.what, figure.against, f"{figure.ratio:g}×", figure.goal, met)
            parts.append(f"| {' | '.join(cells)} |\n")
        if report.curves:
            parts.append(CURVES_HEAD)
        for curve in report.curves:
            slopes = (
                f"{curve.of}, {curve.points[0][0]:,.0f} to {curve.points[-1][0]:,.0f}",
                *(f"{curve.slope(column):.2f}" for column in (1, 2, 3)),
                f"{curve.slope(last=2):.2f}",
            )
            parts.append(f"| {' | '.join(slopes)} |\n")
        parts.append("\n")
    return "".join(parts).rstrip() + "\n"
