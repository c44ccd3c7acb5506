"""A user's Keras model, laid bare for core/port."""
