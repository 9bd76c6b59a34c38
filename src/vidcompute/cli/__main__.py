"""`python -m vidcompute.cli` is `vidctl`."""

from vidcompute.cli.main import main

main()
