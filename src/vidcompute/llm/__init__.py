"""What is said of a frame: by the offline describer from measured facts, or by a vision model that was chosen."""
