"""Who this device is: its key, its certificate, and what is sealed to it. Knows no pixels."""
