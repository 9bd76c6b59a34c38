"""`python -m bench`: ratios on this machine, in one run."""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.clips import generated
from bench.harness import machine, save
from bench.memory import table
from bench.whole_job import compare

#: The reel: 74 s of hard cuts, a dissolve and fades, with sound.
REEL = "deriv_edit_a_720p30.mp4"
#: Six minutes, 10,883 frames.
LONG = "long_black_1080p30_363s.mp4"

HEAD = """# Benchmarks

Written by `make bench`, in one run, rivals in turn; repeat it on your machine. CPU seconds are user and system time of
everything that was started. Quote the ratios: single times depend on what else the machine does.

Machine: {machine}.

What is compared: the whole job of vidcompute (fetch, probe, encode, select and describe frames, package, verify, store;
OCR off) with what one would write by hand for the same renditions and the same small pictures: one ffmpeg command that
decodes once, and one ffmpeg command per output, as scripts do. By hand, nothing is packaged, verified, described or stored.
"""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--media", type=Path, help="folder with the real clips; generated ones otherwise")
    parser.add_argument("--presets", nargs="+", default=["fast", "balanced"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("bench/results/whole_job.json"))
    parser.add_argument("--markdown", type=Path, help="write the page, e.g. docs/benchmarks.md")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="vidcompute-clips-") as folder:
        clip = arguments.media / REEL if arguments.media else generated(Path(folder))
        comparisons = [compare(clip, preset=preset, rounds=arguments.rounds) for preset in arguments.presets]
        grown = table(clip, lengths_s=(5, 20), long=arguments.media / LONG if arguments.media else None)
    save(comparisons, arguments.json)
    tables = "\n\n".join([*(comparison.table() for comparison in comparisons), grown])
    print(tables)
    if arguments.markdown:
        arguments.markdown.write_text(f"{HEAD.format(machine=machine())}\n{tables}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
