"""Which app, product, regions, network and class a flow belongs to."""
