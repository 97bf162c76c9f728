"""The process that listens to machines: ``shopfloor-edge sense``."""
