"""`python -m bench`: ratios on this machine, in one run."""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.clips import generated
from bench.harness import save
from bench.whole_job import compare

#: The reel: 74 s of hard cuts, a dissolve and fades, with sound.
REEL = "deriv_edit_a_720p30.mp4"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--media", type=Path, help="folder with the real clips; generated ones otherwise")
    parser.add_argument("--presets", nargs="+", default=["fast", "balanced"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("bench/results/whole_job.json"))
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="vidcompute-clips-") as folder:
        clip = arguments.media / REEL if arguments.media else generated(Path(folder))
        comparisons = [compare(clip, preset=preset, rounds=arguments.rounds) for preset in arguments.presets]
    save(comparisons, arguments.json)
    print("\n\n".join(comparison.table() for comparison in comparisons))


if __name__ == "__main__":
    main()
