"""Shopfloor's certificate authority: who a device is, and for how long."""
