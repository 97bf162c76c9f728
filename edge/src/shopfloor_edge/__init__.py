"""Everything installed on a device."""
