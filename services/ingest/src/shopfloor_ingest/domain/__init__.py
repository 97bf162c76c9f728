"""What ingest decides. Pure: no clock, no network, no database, no framework."""
