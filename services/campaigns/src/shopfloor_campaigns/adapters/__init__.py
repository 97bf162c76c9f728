"""SQL, HTTP and metrics."""
