"""Many threads and processes at once: promises P7 and P10 of docs/durability.md."""
