"""Rules of the registry, without a framework."""
