"""Provisioning: from a bare host to a device that counts, from one file per site."""
