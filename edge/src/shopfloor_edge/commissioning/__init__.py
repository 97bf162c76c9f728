"""Commands for whoever installs cameras: find them, look at one, say what to set."""
