"""Executors: what runs packs of electrons, and the process that holds them."""
