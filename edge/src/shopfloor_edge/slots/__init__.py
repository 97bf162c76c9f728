"""What is installed on this device: archives by digest, and which of them runs."""
