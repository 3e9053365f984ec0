"""Methods with nothing to train; the call of a network."""
