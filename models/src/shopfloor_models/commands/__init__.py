"""What each command of ``shopfloor-models`` does; arguments are parsed in ``main``."""
