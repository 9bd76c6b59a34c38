"""Rivals in turn, round after round, so that a machine that drifts drifts for all; medians and ratios of one run."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: CPU seconds of everything it started, wall seconds, and the largest resident set of one process."""

    cpu_s: float
    wall_s: float
    max_rss_bytes: int = 0


@dataclass(slots=True)
class Comparison:
    """All samples of one benchmark; the first rival is what the others are measured against."""

    name: str
    about: str
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def median_cpu_s(self, rival: str) -> float:
        """The middle CPU time of a rival."""
        return statistics.median(sample.cpu_s for sample in self.samples[rival])

    def ratios(self, rival: str, reference: str) -> list[float]:
        """CPU of `rival` over CPU of `reference`, round by round: what they shared of the machine cancels out."""
        pairs = zip(self.samples[rival], self.samples[reference], strict=True)
        return [one.cpu_s / other.cpu_s for one, other in pairs]

    def table(self) -> str:
        """Markdown: a row per rival."""
        reference = next(iter(self.samples))
        rows = [
            f"### {self.name}",
            "",
            self.about,
            "",
            f"| | CPU s (median) | CPU s (min to max) | wall s (median) | CPU ÷ {reference} (median) | largest process |",
            "|---|---|---|---|---|---|",
        ]
        for rival, samples in self.samples.items():
            cpu = [sample.cpu_s for sample in samples]
            wall_s = statistics.median(sample.wall_s for sample in samples)
            ratio = statistics.median(self.ratios(rival, reference))
            rss = max(sample.max_rss_bytes for sample in samples) // 2**20
            rows.append(
                f"| {rival} | {self.median_cpu_s(rival):.1f} | {min(cpu):.1f} to {max(cpu):.1f} "
                f"| {wall_s:.1f} | {ratio:.3f} | {f'{rss} MiB' if rss else ''} |"
            )
        return "\n".join(rows)


def interleave(comparison: Comparison, rivals: Mapping[str, Callable[[], Sample]], *, rounds: int) -> Comparison:
    """Run every rival once a round; the order turns, so that nobody always comes after the same neighbour."""
    names = list(rivals)
    comparison.samples = {name: [] for name in names}
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            comparison.samples[name].append(rivals[name]())
            print(f"  round {turn + 1}: {name}: {comparison.samples[name][-1].cpu_s:.2f} CPU s", flush=True)
    return comparison


def save(comparisons: Sequence[Comparison], path: Path) -> None:
    """All samples as JSON, with what they were taken on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {
        "machine": machine(),
        "comparisons": [
            {
                "name": item.name,
                "about": item.about,
                "samples": {
                    rival: [[sample.cpu_s, sample.wall_s, sample.max_rss_bytes] for sample in samples]
                    for rival, samples in item.samples.items()
                },
            }
            for item in comparisons
        ],
    }
    path.write_text(json.dumps(data, indent=1))


def machine() -> str:
    """What the samples were taken on, in a line."""
    return f"{os.cpu_count()} cores of {_cpu_model()}, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def _cpu_model() -> str:
    for text in Path("/proc/cpuinfo").read_text().splitlines():
        if text.startswith("model name"):
            return text.partition(":")[2].strip()
    return platform.machine()
