"""How the shipped models are made, step by step."""
