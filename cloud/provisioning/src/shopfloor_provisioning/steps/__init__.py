"""What is done on a device, in order; each step looks before it does anything."""
