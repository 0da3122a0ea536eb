"""The storage layer: one LMDB file, opened safely, with checked values. Only this package knows
LMDB; `environment` is where the layers above meet it."""
