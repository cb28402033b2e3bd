"""A picture of each report: its ratios as bars, with the goal of each as a mark."""

from matplotlib.figure import Figure as Canvas

from benchmarks.report import RESULTS, Report

MET, MISSED, NO_GOAL = "#2a7f62", "#c44536", "#7d8597"


def draw(report: Report) -> None:
    """Write the picture beside the report's file."""
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
    axes.set_title(f"{report.title}; the mark is the goal", fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    # No date in it: the same figures make the same file.
    canvas.savefig(RESULTS / f"{report.name}.svg", metadata={"Date": None})
