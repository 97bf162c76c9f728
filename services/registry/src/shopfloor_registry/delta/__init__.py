"""Encoders of deltas: each finds another way, the smallest that works is published.

What a device reads is ``shopfloor_contracts.deltas``. ``best_delta(base, result)`` tries every
encoder that is installed and decodes what it made; None means that nothing beats the whole file.
"""
