"""The schema's history: each step is a file under ``versions``, never changed once released."""
