"""Damaged and hostile files: promises P5 and P6 of docs/durability.md."""
