"""The authority itself: keys, certificates, lists of what is revoked. Knows no database."""
