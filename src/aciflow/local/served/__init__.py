"""The local endpoint for other processes: over TLS, with identity, and with WebSockets."""
