"""Process: tells people of the site about alerts, beside the console."""
