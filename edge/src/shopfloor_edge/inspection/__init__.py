"""Judging parts on a production line: find the defect, and never pass what was not seen."""
