"""Measured accuracy: which moments people check, and what their answers say of a figure."""
