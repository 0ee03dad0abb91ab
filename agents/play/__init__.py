"""Steers a dream with the keyboard, on a page in the browser."""
