"""Detectors trained here, without AGPL code."""
