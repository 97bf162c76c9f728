"""The registry: models, versions and builds, who runs them, who promoted what and why."""
