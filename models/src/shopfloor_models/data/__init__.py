"""Samples to learn from: images, boxes, and the licence of each."""
