"""Process: cameras in, journal out."""
