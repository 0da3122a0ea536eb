"""Random sequences of calls against a simple model."""
