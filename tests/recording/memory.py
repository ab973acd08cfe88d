"""The recorder's memory over time: ``python -m tests.recording.memory [MINUTES] [EVENTS/S]`` records a demonstration at a steady rate, with a conversion every 90 seconds, and looks once a minute.

What is told is the slope from the tenth minute on (of a shorter run: of its second half), as least squares.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import psutil

from k2workers.recording.verification import verify
from tests.recording.recorded import recorder
from tests.system.support import demo, free_port

LOOK_S = 60.0
WARM_UP_MINUTES = 10
FILE_MINUTES = 1.5


def slope_of(points: list[tuple[float, float]]) -> float:
    """Least squares."""
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def run(minutes: int, rate: float) -> str:
    """What was seen: memory in MB by the minute, the slope, and what ``verify`` says of the recording."""
    publish, replay, books = (free_port() for _ in range(3))
    points: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(prefix="k2-memory-") as place:
        to = Path(place)
        with demo("--demo-rate", f"{rate:g}", shards=1, publish=publish, replay=replay, books=books) as feed:
            feed.wait_ready()
            with recorder(to, publish, "binance.", replay=replay, books=books, file_minutes=FILE_MINUTES) as program:
                process = psutil.Process(program.process.pid)
                for minute in range(1, minutes + 1):
                    time.sleep(LOOK_S)
                    points.append((minute, process.memory_info().rss / 1e6))
                    sys.stdout.write(f"minute {minute}: {points[-1][1]:.2f} MB\n")
                    sys.stdout.flush()
                cpu = process.cpu_times()
                program.stop()
                (told,) = program.logged("recorded")
            feed.stop()
        found = verify(to)
        files = sum(topic.files for topic in found.topics)
    settled = [point for point in points if point[0] >= min(WARM_UP_MINUTES, minutes / 2)]
    return (
        f"{told['events']:,} events, {files:,} files, {cpu.user + cpu.system:.0f} s of CPU; from minute {settled[0][0]} on "
        f"{60 * slope_of(settled):+.2f} MB an hour ({settled[0][1]:.1f} to {settled[-1][1]:.1f} MB); "
        f"{'whole' if found.whole else 'NOT WHOLE'}"
    )


if __name__ == "__main__":
    numbers = [float(word) for word in sys.argv[1:]]
    sys.stdout.write(run(int(numbers[0]) if numbers else 60, numbers[1] if len(numbers) > 1 else 400.0) + "\n")
