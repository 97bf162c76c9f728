"""Grafana dashboards as code; nothing here runs on a device or in a service."""
