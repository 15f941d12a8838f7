"""Flow files to fragments: sources, pure kernels, and the Beam pipeline that joins them."""
