"""Which request goes where: `/control` to the controls, everything else to the gateway."""

from deploy.simulator.connection import Connection
from deploy.simulator.contract import Request
from deploy.simulator.control import Control
from deploy.simulator.gateway import Gateway
from deploy.simulator.listener import Listener


class Router:
    def __init__(self, gateway: Gateway, control: Control) -> None:
        self._gateway = gateway
        self._control = control

    def connection(self, listener: Listener) -> Connection:
        return Connection(self._handle, expect=self._gateway.expect, connections=listener.connections)

    def _handle(self, connection: Connection, request: Request) -> None:
        if request.path.startswith(b"/control/"):
            self._control.handle(connection, request)
        else:
            self._gateway.handle(connection, request)
