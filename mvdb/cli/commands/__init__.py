"""One module per command or small family of commands: its arguments and its function."""
