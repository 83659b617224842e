"""What a file is, by its content; what its name may be; and which links are ours."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from shared.domain.attachment import (
    EXTENSIONS,
    AttachmentNameRefused,
    AttachmentTooLarge,
    AttachmentTypeLies,
    AttachmentTypeNotTaken,
    Media,
    check_name,
    check_size,
    check_type,
    type_of,
    with_extension,
)
from shared.domain.attachment_link import (
    LIFE_SECONDS,
    AttachmentLinkExpired,
    AttachmentLinkForged,
    check,
    expiry,
    key_of,
    link,
    sign,
)
from shared.errors import Invalid

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"


@pytest.mark.parametrize(
    ("head", "found"),
    [
        pytest.param(JPEG, "image/jpeg", id="jpeg"),
        pytest.param(PNG, "image/png", id="png"),
        pytest.param(b"GIF89a\x01\x00", "image/gif", id="gif"),
        pytest.param(b"%PDF-1.7\n", "application/pdf", id="pdf"),
        pytest.param(b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00", "video/mp4", id="mp4"),
        pytest.param(b"\x00\x00\x00\x18ftyp3gp4\x00\x00\x00\x00", "video/3gpp", id="3gp"),
        pytest.param(b"\x00\x00\x00\x18ftyp3g2a\x00\x00\x00\x00", "video/3gpp2", id="3g2"),
        pytest.param(b"\x00\x00\x00\x14ftypqt  \x00\x00\x00\x00", "video/quicktime", id="quicktime"),
        pytest.param(b"\x00\x00\x00\x1cftypM4A \x00\x00\x00\x00", "audio/mp4", id="m4a"),
        pytest.param(b"ID3\x04\x00", "audio/mpeg", id="mp3 with a tag"),
        pytest.param(b"\xff\xfb\x90\x00", "audio/mpeg", id="mp3 without"),
        pytest.param(b"#!AMR\n", "audio/amr", id="amr"),
        pytest.param(b"OggS\x00\x02", "audio/ogg", id="ogg"),
        pytest.param(b"BEGIN:VCARD\r\nVERSION:3.0\r\n", "text/vcard", id="a contact card"),
        pytest.param(b"\xef\xbb\xbf\r\nbegin:vcalendar\r\n", "text/calendar", id="a calendar, with a mark before it"),
        pytest.param(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", None, id="a picture that handsets cannot show"),
        pytest.param(b"<!doctype html><script>", None, id="html"),
        pytest.param(b"<svg xmlns=", None, id="svg"),
        pytest.param(b"MZ\x90\x00", None, id="a program"),
        pytest.param(b"PK\x03\x04", None, id="an archive"),
        pytest.param(b"", None, id="nothing"),
        pytest.param(b"\xff", None, id="one byte"),
    ],
)
def test_a_type_is_found_by_the_content(head: bytes, found: str | None) -> None:
    assert type_of(head) == found


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        pytest.param("image/jpeg", "a.jpg", id="the truth"),
        pytest.param("image/jpg; q=1", "a.JPEG", id="the truth, as some write it"),
        pytest.param("", "a.jpg", id="no claim"),
        pytest.param("application/octet-stream", "a", id="bytes of whatever kind"),
    ],
)
def test_a_type_that_is_true(declared: str, name: str) -> None:
    assert check_type(JPEG, declared=declared, name=name) == "image/jpeg"


@pytest.mark.parametrize(
    ("head", "declared", "name", "kind", "told"),
    [
        pytest.param(PNG, "image/jpeg", "a.png", AttachmentTypeLies, "says 'image/jpeg'", id="another picture"),
        pytest.param(PNG, "image/png", "a.pdf", AttachmentTypeLies, "ends in .pdf", id="another extension"),
        pytest.param(PNG, "", "a.exe", AttachmentTypeLies, "name it .png", id="a program's name"),
        pytest.param(b"MZ\x90", "image/png", "a.png", AttachmentTypeNotTaken, "image/jpeg, image/png", id="a program"),
        pytest.param(b"<html>", "text/html", "a.html", AttachmentTypeNotTaken, "no type", id="a page"),
    ],
)
def test_a_type_that_lies(head: bytes, declared: str, name: str, kind: type[Invalid], told: str) -> None:
    with pytest.raises(kind, match=told):
        check_type(head, declared=declared, name=name)


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("menu.pdf", "menu.pdf"),
        ("Menü für heute.pdf", "Menü für heute.pdf"),
        (" a.png ", "a.png"),
        ("50%.jpg", "50%.jpg"),
    ],
)
def test_a_name_that_can_stand(name: str, kept: str) -> None:
    assert check_name(name) == kept


@pytest.mark.parametrize(
    ("name", "told"),
    [
        pytest.param("../../x", "holds a path", id="up and away"),
        pytest.param("/etc/passwd", "holds a path", id="from the root"),
        pytest.param("C:\\photos\\a.jpg", "holds a path", id="a disk's"),
        pytest.param("..", "holds a path", id="the folder above"),
        pytest.param(".htaccess", "holds a path", id="hidden"),
        pytest.param("a\r\nSet-Cookie: x.png", "cannot be seen", id="another header"),
        pytest.param("a\0.png", "cannot be seen", id="NUL"),
        pytest.param("gnp.\u202egpj", "cannot be seen", id="backwards"),
        pytest.param("", "no name", id="none"),
        pytest.param("  ", "no name", id="blank"),
        pytest.param("a" * 97 + ".png", "has 101 characters", id="long"),
    ],
)
def test_a_name_that_cannot_stand(name: str, told: str) -> None:
    with pytest.raises(AttachmentNameRefused, match=told):
        check_name(name)


def test_a_name_gets_the_extension_of_its_type() -> None:
    assert with_extension("photo", "image/jpeg") == "photo.jpg"
    assert with_extension("photo.jpeg", "image/jpeg") == "photo.jpeg"
    assert all(extensions for extensions in EXTENSIONS.values())


def test_sizes() -> None:
    check_size(10, most=10)
    with pytest.raises(AttachmentTooLarge, match="11 bytes, and 10"):
        check_size(11, most=10)
    with pytest.raises(Invalid, match="empty"):
        check_size(0, most=10)


NOW = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
MEDIA = Media(UUID(int=7), "menu & more.pdf", "application/pdf", 10)
KEY = key_of(b"pepper" * 6)
EXPIRES = str(expiry(NOW))
SIGNATURE = sign(KEY, str(MEDIA.id), MEDIA.name, EXPIRES)


def test_a_link_is_the_same_within_an_hour_and_good_for_two_days() -> None:
    assert expiry(NOW) == expiry(NOW + timedelta(minutes=29)) != expiry(NOW + timedelta(minutes=30))
    assert LIFE_SECONDS < expiry(NOW) - NOW.timestamp() <= LIFE_SECONDS + 3600
    made = link("https://sms.test/lapwing/", KEY, MEDIA, expires=expiry(NOW))
    assert made == (
        f"https://sms.test/lapwing/attachments/{MEDIA.id}/menu%20%26%20more.pdf?expires={EXPIRES}&signature={SIGNATURE}"
    )
    check(KEY, str(MEDIA.id), MEDIA.name, expires=EXPIRES, signature=SIGNATURE, now=NOW)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"attachment_id": str(UUID(int=8))}, id="another file"),
        pytest.param({"name": "menu.pdf"}, id="another name"),
        pytest.param({"expires": str(expiry(NOW) + 1)}, id="a longer life"),
        pytest.param({"expires": ""}, id="no end"),
        pytest.param({"signature": ""}, id="no signature"),
        pytest.param({"signature": SIGNATURE[:-1]}, id="cut short"),
        pytest.param({"signature": "ü"}, id="no ASCII"),
        pytest.param({"signature": SIGNATURE.upper()}, id="in capitals"),
        pytest.param({"key": key_of(b"another deployment's")}, id="another deployment's"),
    ],
)
def test_an_altered_link_is_forged(change: dict[str, object]) -> None:
    said: dict[str, object] = {
        "key": KEY,
        "attachment_id": str(MEDIA.id),
        "name": MEDIA.name,
        "expires": EXPIRES,
        "signature": SIGNATURE,
        "now": NOW + timedelta(days=9),
    } | change
    key, attachment_id, name = said.pop("key"), said.pop("attachment_id"), said.pop("name")
    with pytest.raises(AttachmentLinkForged):
        check(key, attachment_id, name, **said)  # type: ignore[arg-type]  # a table of any of them


def test_a_link_ends() -> None:
    end = datetime.fromtimestamp(expiry(NOW), UTC)
    check(KEY, str(MEDIA.id), MEDIA.name, expires=EXPIRES, signature=SIGNATURE, now=end - timedelta(seconds=1))
    with pytest.raises(AttachmentLinkExpired):
        check(KEY, str(MEDIA.id), MEDIA.name, expires=EXPIRES, signature=SIGNATURE, now=end)


def test_what_a_campaign_keeps_of_it_is_read_again() -> None:
    assert Media.read(MEDIA.write()) == MEDIA
