"""What a process and its children have used so far."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGES_PER_MB = (1 << 20) / os.sysconf("SC_PAGE_SIZE")


def cpu_secs(pid: int) -> float:
    """Seconds of user and system time of the process tree, with the children that it has waited for."""
    return sum(_ticks(member) for member in tree(pid)) / _TICKS


def exact_cpu_secs(pid: int) -> float:
    """The same of one process without its children, to the nanosecond: for what takes less than a second."""
    return time.clock_gettime(~pid << 3 | 2)  # the CPU clock of a process: clock_getcpuclockid(3)


def thread_secs(pid: int) -> dict[str, float]:
    """The same for each thread of a process by its name; threads of one name together."""
    found: dict[str, float] = {}
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            head, _, rest = path.read_text().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        name = head.partition("(")[2]
        found[name] = found.get(name, 0.0) + sum(map(int, rest.split()[11:13])) / _TICKS
    return found


def rss_mb(pid: int) -> float:
    """Resident memory of the process tree in MiB, shared pages counted for each process that maps them."""
    pages = sum(int(Path(f"/proc/{member}/statm").read_text().split()[1]) for member in tree(pid))
    return round(pages / _PAGES_PER_MB, 1)


def tree(pid: int) -> Iterator[int]:
    """The process and all that descend from it."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            numbers = children.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # of a thread that has just ended
        for number in numbers:
            yield from tree(int(number))


def _ticks(pid: int) -> int:
    # After the name, which may hold anything: fields 14 to 17 of proc(5), own and waited-for children's time.
    return sum(int(field) for field in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15])
