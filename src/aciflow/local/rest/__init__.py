"""ARM's side of the endpoint: routes, replies and errors, without any I/O."""
