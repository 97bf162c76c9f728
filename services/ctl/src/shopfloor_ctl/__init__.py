"""shopfloorctl: what operators type; a thin client of the registry and of campaigns."""
