"""One file per architecture, in Keras."""
