"""Where tasks run: the machines there are, and starting, watching and killing tasks on them."""
