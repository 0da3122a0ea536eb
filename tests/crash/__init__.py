"""Processes killed at any moment: promises P1, P3 and P4 of docs/durability.md."""
