"""Writing passages and records into a database: changes only, in resumable steps."""
