"""How fast the product is, as ratios measured within one run: `make bench`."""
