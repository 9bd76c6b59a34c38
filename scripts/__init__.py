"""Programs for those who develop vidcompute."""
