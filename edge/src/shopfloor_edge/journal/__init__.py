"""Capability: events and camera state, durable in SQLite."""
