"""E-mail addresses: plain ones are taken, and nothing that a mail server could read as more than one."""

import pytest

from shared.domain.email_address import is_address


@pytest.mark.parametrize(
    "text",
    [
        "ops@example.com",
        "first.last+alerts@mail.example.co.za",
        "o'neil_1@example.com",
        "a@b",
        "root@localhost",
        "x" * 64 + "@example.com",
    ],
)
def test_taken(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ops",
        "@example.com",
        "ops@",
        "ops@@example.com",
        "ops@example..com",
        "ops@-example.com",
        "ops@example.com.",
        ".ops@example.com",
        "ops.@example.com",
        "o..ps@example.com",
        "Ops <ops@example.com>",
        "ops@example.com, other@example.com",
        "ops@example.com\r\nRCPT TO:<other@example.com>",
        "ops@example.com\n",
        "ops @example.com",
        '"ops"@example.com',
        "ops@[127.0.0.1]",
        "öps@example.com",
        "ops@exämple.com",
        "ops\0@example.com",
        "x" * 65 + "@example.com",
        "ops@" + ".".join(["x" * 60] * 5),
        "ops@" + "x" * 64 + ".com",
    ],
)
def test_refused(text: str) -> None:
    assert not is_address(text)
