"""Machine sensors: features of a stretch of signal, a healthy baseline, charts. Pure."""
