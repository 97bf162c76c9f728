"""Database, HTTP, broker."""
