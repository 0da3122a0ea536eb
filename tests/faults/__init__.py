"""Failing system calls and exhausted limits: promise P8 of docs/durability.md."""
