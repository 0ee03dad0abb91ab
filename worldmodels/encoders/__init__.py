"""Image encoders, one file for each kind: class `ImageEncoder`."""
