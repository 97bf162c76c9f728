"""MQTT 5 to SQL: idempotent, acknowledging after the commit."""
