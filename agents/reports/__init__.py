"""Shows finished runs: a page, curves as pictures, figures as a table."""
