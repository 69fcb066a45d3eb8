"""The quickstart with asyncio: two web servers at once."""

import asyncio
import sys

from aciflow import AsyncClient


async def main(image: str) -> None:
    async with AsyncClient() as client:
        groups = await asyncio.gather(*(client.launch(image, public_ip=True) for _ in range(2)))
        for group in groups:
            print(group.url(), f"served after {group.timeline.total:.1f} s")
            await group.delete()


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "nginx"))
