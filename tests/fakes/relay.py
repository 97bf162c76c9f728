"""A cable that can be pulled: relays TCP to a camera, as a child process.

``python relay.py PORT TARGET_PORT``; each line on standard input is obeyed, then printed:
``cut`` drops every connection and refuses new ones, ``join`` takes them again, ``noise`` sends
random bytes to every client.
"""

import asyncio
import random
import sys

HOST = "127.0.0.1"


class Relay:
    def __init__(self, port, target_port):
        self._port, self._target_port = port, target_port
        self._server = None
        self._writers = set()

    async def join(self):
        self._server = await asyncio.start_server(self._client, HOST, self._port)

    async def cut(self):
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()

    async def noise(self):
        rubbish = random.Random(0)
        for _, writer in self._clients():
            writer.write(rubbish.randbytes(20_000))

    def _clients(self):
        return [
            (writer.get_extra_info("sockname")[1], writer)
            for writer in self._writers
            if writer.get_extra_info("sockname")[1] == self._port
        ]

    async def _client(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, self._target_port)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self._writers |= ends
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self._writers -= ends

    @staticmethod
    async def _pump(reader, writer):
        try:
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()


async def main(port, target_port):
    relay = Relay(port, target_port)
    await relay.join()
    print("join", flush=True)
    loop = asyncio.get_running_loop()
    while command := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        await getattr(relay, command)()
        print(command, flush=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
