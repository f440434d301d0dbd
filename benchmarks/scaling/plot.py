"""The picture: time over tokens, both logarithmic, so that what is linear is a straight line; and memory."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.scaling.points import Point, by_series, exponents


def draw(points: Sequence[Point], path: Path) -> Path:
    """Write `path`.svg."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    fitted = exponents(points)
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    times, memory = figure.subplots(1, 2)
    for series, own in by_series(points).items():
        tokens = [point.tokens for point in own]
        label = f"{series}: tokens^{fitted[series]['seconds']:.2f}" if series in fitted else series
        (line,) = times.plot(tokens, [point.seconds for point in own], marker="o", label=label)
        memory.plot(tokens, [point.mebibytes for point in own], marker="o", label=series)
        # A straight line of slope 1 through the largest, as far as the smallest.
        last = own[-1]
        linear = [last.seconds * count / last.tokens for count in tokens]
        times.plot(tokens, linear, color=line.get_color(), linestyle=":", linewidth=1)
    times.set(yscale="log", ylabel="seconds (dotted: linear)")
    memory.set(ylim=(0, None), ylabel="peak MiB of the process")
    for axes in (times, memory):
        axes.set(xscale="log", xlabel="tokens")
        # Of a short run there are names between the powers, and too many.
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(visible=True, which="major", alpha=0.3)
        axes.legend(fontsize="small")
    target = path.parent / f"{path.name}.svg"
    figure.savefig(target)
    return target
