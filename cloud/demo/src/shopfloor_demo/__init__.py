"""The whole product on one machine, as real processes; no business rule lives here."""
