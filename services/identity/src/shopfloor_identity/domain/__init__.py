"""What is decided without a disk, a network or a framework."""
