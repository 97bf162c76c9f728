"""Process: the staff's web app. Reads and writes the state folder; never reaches the cloud."""
