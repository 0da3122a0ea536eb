"""The tests. A package, so that they can share `tests.support` and be run as programs."""
