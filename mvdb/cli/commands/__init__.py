"""One module per command or small group of commands: its arguments and its function."""
