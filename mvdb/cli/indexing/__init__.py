"""Writing passages and records into a database: only what changed, in resumable steps."""
