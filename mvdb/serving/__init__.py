"""A database for other programs: JSON lines for applications (docs/howto-sidecar.md), tools for
assistants (docs/howto-assistants.md). Everything goes through the public API."""
