"""One module per first word of a command."""
