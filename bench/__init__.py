"""Measurements, each by the command that its module names. A benchmark measures; no test asserts a time."""
