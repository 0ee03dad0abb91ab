"""Many machines, or many processes of one: what runs on Ray, and starts it."""
