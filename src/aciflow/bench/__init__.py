"""What is measured: import time, detection of a start, and overhead over the plain Engine API."""
