"""Capability: frames from cameras and files."""
