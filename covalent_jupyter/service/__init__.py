"""The service process: one per store, REST on loopback, the only owner of the store."""
