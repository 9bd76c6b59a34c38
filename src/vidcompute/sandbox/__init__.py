"""The box for untrusted bytes: Landlock, seccomp, limits and another user around everything that parses media.

`process` starts children, `launcher` puts a program in the box, `fork` a Python function; `box` is what both enter.
This file stays empty of imports: the launcher passes through it on every start.
"""
