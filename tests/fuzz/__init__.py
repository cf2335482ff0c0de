"""Random and damaged input for the decoders: the compiled kernel against the Python decoders."""
