"""A region that cannot be used is told as itself."""

import pytest

from api.regions import region_of
from shared.domain.msisdn import UnknownRegion


@pytest.mark.parametrize(("asked", "setting", "region"), [("gb", "ZA", "GB"), (None, "ZA", "ZA"), (None, None, None)])
def test_request_before_the_setting(asked: str | None, setting: str | None, region: str | None) -> None:
    assert region_of(asked, setting) == region


def test_wrong_one_is_named() -> None:
    """The setting's own was looked at when the process began: see tests/test_settings.py."""
    with pytest.raises(UnknownRegion, match="default_region is not") as refusal:
        region_of("ZZ", "ZA")
    assert [error.pointer for error in refusal.value.errors] == ["/default_region"]
