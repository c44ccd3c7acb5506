"""One file per training technique, in Keras."""
