"""Process: the only way out of the device."""
