"""Where the registry meets databases, disks and the network."""
