"""Print the status of a job for people."""

from datetime import timedelta

from berthub.cli.console import OutputConsole, literal
from berthub.cli.progress import counted
from berthub.jobs.status import JobStatus

__all__ = ["print_status"]

_SHOWN = 8


def print_status(status: JobStatus) -> None:
    """Print the shards and rows that are done, the speed, and who is at work."""
    console = OutputConsole()
    share = 100 * status.rows_done / max(1, status.rows)
    lines = [
        f"{status.folder}: {'finished' if status.finished else 'running' if status.runners else 'not finished'}",
        f"{status.shards_done:,} of {counted(status.shards, 'shard')}, "
        f"{status.rows_done:,} of {counted(status.rows, 'row')} ({share:.0f}%)",
    ]
    if status.dedupe:
        lines.append(_distinct(status))
    if status.totals is not None:
        names = {"empty": "empty", "left_out": "left out", "truncated": "truncated", "failed": "failed"}
        lines.append(", ".join(f"{status.totals[name]:,} {shown}" for name, shown in names.items()))
    if status.rows_per_second:
        unit = "distinct texts" if status.dedupe else "rows"
        lines.append(f"{status.rows_per_second:,.0f} {unit}/s, {status.tokens_per_second:,.0f} tokens/s")
    if status.seconds_left is not None and not status.finished:
        lines.append(f"about {timedelta(seconds=round(status.seconds_left))} left")
    for note in status.runners:
        working = ", ".join(f"{number:,}" for number in note.working[:_SHOWN])
        lines.append(
            f"process {note.process} on {note.machine.partition(' ')[0]}: {counted(note.shards, 'shard')} done, "
            f"at work on {'distinct texts, ' if note.distinct and working else ''}{working or 'none'}"
        )
    if not status.finished and not status.runners:
        lines.append("nobody is at work on it: run the same command again to go on")
    for line in lines:
        console.print(literal(line))


def _distinct(status: JobStatus) -> str:
    if status.distinct is None:
        return "its distinct texts are not counted yet"
    share = 100 * status.distinct_done / max(1, status.distinct)
    return f"{status.distinct_done:,} of {counted(status.distinct, 'distinct text')} computed ({share:.0f}%)"
