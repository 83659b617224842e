"""The demo's client of the api, as small as an owner's product could make it: JSON and one file upload."""

import csv
import http.client
import io
import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, Final

from deploy.local.demo_errors import DemoFailed

TIMEOUT_SECONDS: Final = 30.0


class Client:
    """Calls one api with one key; a refusal ends the demo with the api's own words."""

    def __init__(self, host: str, port: int, *, key: str) -> None:
        self._host = host
        self._port = port
        self._key = key

    def get(self, path: str) -> Any:
        return json.loads(self._ask("GET", path))

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = json.dumps(body).encode() if body is not None else b""
        return json.loads(self._ask("POST", path, data, content_type="application/json"))

    def pages(self, path: str) -> Iterator[Any]:
        """Every item of a paged list."""
        cursor = ""
        while True:
            page = self.get(f"{path}?limit=200{cursor}")
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            cursor = f"&cursor={page['next_cursor']}"

    def rows(self, path: str) -> list[dict[str, str]]:
        """A CSV answer, row by row."""
        return list(csv.DictReader(io.StringIO(self._ask("GET", path).decode("utf-8-sig"))))

    def upload(self, path: str, data: bytes, *, file_name: str, fields: Mapping[str, str]) -> Any:
        boundary = secrets.token_hex(16)
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()
        ]
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n'
            "Content-Type: text/csv\r\n\r\n"
        )
        body = "".join(parts).encode() + data + f"\r\n--{boundary}--\r\n".encode()
        return json.loads(self._ask("POST", path, body, content_type=f"multipart/form-data; boundary={boundary}"))

    def _ask(self, method: str, path: str, body: bytes = b"", *, content_type: str = "") -> bytes:
        line = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_SECONDS)
        headers = {"Authorization": f"Bearer {self._key}"}
        if content_type:
            headers["Content-Type"] = content_type
        try:
            line.request(method, path, body, headers)
            answer = line.getresponse()
            said = answer.read()
        except (OSError, http.client.HTTPException) as failure:
            raise DemoFailed(f"{method} {path} was not answered: {failure or type(failure).__name__}.") from failure
        finally:
            line.close()
        if not 200 <= answer.status < 300:
            raise DemoFailed(f"{method} {path} was refused with {answer.status}: {said.decode(errors='replace')[:500]}")
        return said
