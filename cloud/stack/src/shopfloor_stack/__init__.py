"""The cloud of Shopfloor on one machine: brings its parts up, says how they are, ends them."""
