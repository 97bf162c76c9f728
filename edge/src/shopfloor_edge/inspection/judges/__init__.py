"""What says pass, fail or review of one picture of one part."""
