"""Campaigns: which device runs what, in which wave, and whether the next wave may begin."""
