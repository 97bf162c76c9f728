"""Plumbing that services share; no business rule."""
