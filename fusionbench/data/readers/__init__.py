"""Readers of image files: arrays in digital numbers, channels first, with errors that name the file. Torch-free."""
