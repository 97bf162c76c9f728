"""What ingest's use cases meet at their edges: broker, database, HTTP, metrics."""
