"""Pure: figures from tracks."""
