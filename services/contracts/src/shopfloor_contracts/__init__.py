"""What Shopfloor's processes say to each other; no behaviour beyond parsing and naming."""
