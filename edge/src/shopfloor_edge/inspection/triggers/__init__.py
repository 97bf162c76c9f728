"""What tells a station that a part is there; each module watches one kind (``watch``)."""
