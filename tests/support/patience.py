"""How long a test waits for what must happen."""

PATIENCE = 300.0
"""Seconds: so much longer than it takes, also on a machine that does ten other things, that only
what never happens takes as long."""
FOR_EVER = 3600
"""Seconds that a process sleeps which is about to be killed."""
