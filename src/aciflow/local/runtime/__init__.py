"""What really runs a group's containers: an engine, or a simulation of ACI's timing."""
