"""Measurements that people can repeat: `python -m bench` prints ratios, `python -m bench.campaign` a table of outcomes."""
