"""What a campaign is and how it moves on; no framework, no clock, no disk."""
