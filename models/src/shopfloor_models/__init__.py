"""Everything that makes a model bundle; nothing here runs on a device."""
