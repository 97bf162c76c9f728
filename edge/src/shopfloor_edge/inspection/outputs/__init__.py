"""Carriers of the station's words to the line; each module opens one kind (``open_output``)."""
