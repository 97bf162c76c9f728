"""The wheelhouse: every wheel that a device needs, for every platform that we promise."""
