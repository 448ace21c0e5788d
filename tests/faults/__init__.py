"""Faults of processes, mail servers and databases, and what must hold after each of them."""
