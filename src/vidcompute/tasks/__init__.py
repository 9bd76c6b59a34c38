"""What runs in a task process: fetch and probe, encode a chunk, encode sound, describe, count frames, package.

A task process is trusted code with a database and a blob store. It never parses a stranger's bytes
itself: ffmpeg and PyAV do that in boxed children, which get the input as an open file descriptor.
"""
