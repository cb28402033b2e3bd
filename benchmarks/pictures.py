"""Pictures of a report: its ratios as bars, with the goal of each as a mark, and its curves."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from benchmarks.machine import CHECKOUT
from benchmarks.report import Curve, Report

PICTURES = CHECKOUT / "build" / "pictures"

MET, MISSED, NO_GOAL = "#2a7f62", "#c44536", "#7d8597"
COSTS = {"CPU seconds": "#2a7f62", "wall seconds": "#33658a", "peak memory, MiB": "#c44536"}


def draw(report: Report) -> list[Path]:
    """Write the pictures of a report to `PICTURES`."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    pictures = [_draw_curve(report, curve) for curve in report.curves]
    if report.figures:
        pictures.append(_draw_ratios(report))
    return pictures


def _draw_curve(report: Report, curve: Curve) -> Path:
    canvas = Canvas(figsize=(9, 4.5), layout="constrained")
    axes = canvas.subplots()
    sizes = [point[0] for point in curve.points]
    for column, (name, colour) in enumerate(COSTS.items(), start=1):
        label = f"{name}, slope {curve.slope(column):.2f}"
        costs = [point[column] for point in curve.points]
        axes.plot(sizes, costs, color=colour, marker="o", markersize=4, label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(curve.of)
    axes.legend(fontsize=8)
    return _finish(canvas, axes, f"{report.title}: {curve.of}", f"{report.name}-{curve.name}")


def _draw_ratios(report: Report) -> Path:
    figures = list(reversed(report.figures))
    canvas = Canvas(figsize=(9, 0.8 + 0.34 * len(figures)), layout="constrained")
    axes = canvas.subplots()
    colours = [{True: MET, False: MISSED, None: NO_GOAL}[figure.holds] for figure in figures]
    axes.barh(range(len(figures)), [figure.ratio for figure in figures], color=colours, height=0.6)
    for row, figure in enumerate(figures):
        axes.text(figure.ratio, row, f" {figure.ratio:.2f}×", va="center", fontsize=8)
        if figure.limit is not None:
            axes.plot([figure.limit] * 2, [row - 0.4, row + 0.4], color="black", linewidth=1.5)
    labels = [f"{figure.what} / {figure.against}" for figure in figures]
    axes.set_yticks(range(len(figures)), labels, fontsize=8)
    axes.set_xscale("log")
    return _finish(canvas, axes, f"{report.title}; the mark is the goal", report.name)


def _finish(canvas: Canvas, axes: Axes, title: str, name: str) -> Path:
    axes.set_title(title, fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    # No date in it: the same figures make the same file.
    picture = PICTURES / f"{name}.svg"
    canvas.savefig(picture, metadata={"Date": None})
    return picture
