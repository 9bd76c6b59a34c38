"""Postgres: what is true. The only package that speaks SQL.

`embedded` runs a server from the wheel's binaries, `migrate` brings a database up to date, `db` is the pool;
`jobs`, `frames`, `search`, `uploads` hold the statements, each beside the method that runs it; `feed` listens.
"""
