"""Sealing: opens where it was sealed, with a key of ours, and nowhere else."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.sealing import KEY_BYTES, SealBroken, Sealer, hash_msisdn, new_key, place_of_secrets

OLD, NEW = new_key(), new_key()
PLACE = place_of_secrets("a gateway")


@given(st.binary(max_size=200))
def test_opens_what_it_sealed(value: bytes) -> None:
    sealer = Sealer.from_texts([NEW])
    sealed = sealer.seal(value, place=PLACE)
    assert sealer.open(sealed, place=PLACE) == value
    assert value not in sealed or len(value) < 4


def test_same_value_never_looks_the_same() -> None:
    sealer = Sealer.from_texts([NEW])
    assert len({sealer.seal(b"secret", place=PLACE) for _ in range(50)}) == 50


def test_first_key_seals_and_every_key_opens() -> None:
    before = Sealer.from_texts([OLD]).seal(b"secret", place=PLACE)
    rotated = Sealer.from_texts([NEW, OLD])
    assert rotated.open(before, place=PLACE) == b"secret"
    after = rotated.seal(b"secret", place=PLACE)
    assert Sealer.from_texts([NEW]).open(after, place=PLACE) == b"secret"
    with pytest.raises(SealBroken):
        Sealer.from_texts([OLD]).open(after, place=PLACE)


def test_another_place_is_not_opened() -> None:
    """A row's sealed value copied into another row, table or column is of no use there."""
    sealer = Sealer.from_texts([NEW])
    sealed = sealer.seal(b"secret", place=PLACE)
    with pytest.raises(SealBroken, match="another gateway"):
        sealer.open(sealed, place=place_of_secrets("another gateway"))


@given(st.integers(0, 200), st.integers(1, 255))
def test_changed_byte_is_noticed(place: int, by: int) -> None:
    sealer = Sealer.from_texts([NEW])
    sealed = bytearray(sealer.seal(b"secret" * 5, place=PLACE))
    sealed[place % len(sealed)] ^= by
    with pytest.raises(SealBroken):
        sealer.open(bytes(sealed), place=PLACE)


@pytest.mark.parametrize("length", range(34))
def test_what_is_cut_short_is_broken_and_no_surprise(length: int) -> None:
    sealer = Sealer.from_texts([NEW])
    sealed = sealer.seal(b"secret", place=PLACE)
    with pytest.raises(SealBroken):
        sealer.open(sealed[:length], place=PLACE)


def test_refusal_and_repr_hold_no_secret() -> None:
    sealer = Sealer.from_texts([NEW])
    with pytest.raises(SealBroken) as broken:
        sealer.open(b"\x01" + b"x" * 40, place=PLACE)
    assert NEW not in str(broken.value)
    assert NEW not in repr(sealer)
    assert repr(sealer.keys[0]) not in repr(sealer)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("short", id="short"),
        pytest.param(base64.urlsafe_b64encode(b"x" * 31).decode(), id="a byte short"),
        pytest.param(base64.urlsafe_b64encode(b"x" * 33).decode(), id="a byte long"),
        pytest.param("schlüssel", id="not ASCII"),
        pytest.param("a" * 41, id="no base64"),
    ],
)
def test_bad_key_stops_the_process_by_its_place(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        Sealer.from_texts([NEW, text])
    told = capsys.readouterr().err
    assert (stopped.value.code, told.startswith("LAPWING_SECRET_KEYS: key 2 is not 32 bytes")) == (2, True)
    assert not text or text not in told


def test_new_keys_fit_and_differ() -> None:
    keys = {new_key() for _ in range(20)}
    assert len(keys) == 20
    assert all(len(Sealer.from_texts([key]).keys[0]) == KEY_BYTES for key in keys)


def test_hash_stands_for_a_number_under_one_pepper() -> None:
    assert hash_msisdn(b"pepper", "+12025550142") == hash_msisdn(b"pepper", "+12025550142")
    assert hash_msisdn(b"pepper", "+12025550142") != hash_msisdn(b"pepper", "+12025550143")
    assert hash_msisdn(b"pepper", "+12025550142") != hash_msisdn(b"another", "+12025550142")
    assert len(hash_msisdn(b"pepper", "+12025550142")) == 16


def test_codes_of_the_old_key_outlive_a_rotation() -> None:
    before, rotated, after = Sealer.from_texts([OLD]), Sealer.from_texts([NEW, OLD]), Sealer.from_texts([NEW])
    assert rotated.pepper_version == after.pepper_version != before.pepper_version
    assert rotated.code_pepper(before.pepper_version) == before.code_pepper(before.pepper_version)
    assert rotated.code_pepper(rotated.pepper_version) != before.code_pepper(before.pepper_version)
    assert after.code_pepper(before.pepper_version) is None


def test_the_pepper_of_codes_is_not_the_key() -> None:
    sealer = Sealer.from_texts([NEW])
    pepper = sealer.code_pepper(sealer.pepper_version)
    assert pepper is not None
    assert pepper not in sealer.keys
