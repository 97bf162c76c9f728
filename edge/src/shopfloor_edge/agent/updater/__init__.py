"""Updates of this device: asked for, verified, tried, kept or given back."""
