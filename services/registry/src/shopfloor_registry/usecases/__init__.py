"""What the registry is asked to do, and the ports that it needs for that."""
