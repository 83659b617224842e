"""Fakeredis's TCP server on the port it is given: the last resort of `bells`. Keeps nothing."""

import sys

from fakeredis import TcpFakeServer

if __name__ == "__main__":
    TcpFakeServer(("127.0.0.1", int(sys.argv[1])), server_type="valkey").serve_forever()
