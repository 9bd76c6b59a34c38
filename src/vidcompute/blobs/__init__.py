"""Where the bytes are: originals, task outputs, published results. Keys are `<tenant>/…` paths."""
