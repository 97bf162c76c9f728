"""The commissioning report: what an installer hands over with the site."""
