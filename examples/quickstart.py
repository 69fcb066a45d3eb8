"""Launch a web server, read a line from it, see where the time went, and leave nothing behind."""

import sys

import httpx

import aciflow


image = sys.argv[1] if len(sys.argv) > 1 else "nginx"
with aciflow.launch(image, public_ip=True) as group:  # returns when it serves
    print("serving at", group.url())
    print("first line:", httpx.get(group.url()).text.splitlines()[0])
    print(group.timeline)
