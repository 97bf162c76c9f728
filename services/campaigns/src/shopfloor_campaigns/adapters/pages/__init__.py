"""The console: pages for people, rendered here; plain files, nothing from elsewhere."""
