"""From a trained network to the file that each target runs."""
