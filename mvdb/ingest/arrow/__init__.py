"""Arrow data as batches of documents: tables, record batches, streams, datasets and their files."""
