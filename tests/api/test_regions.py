"""A region that cannot be used is told as itself."""

import pytest

from api.regions import region_of
from shared.domain.msisdn import UnknownRegion


@pytest.mark.parametrize(
    ("asked", "setting", "region"), [("gb", "ZA", "GB"), (None, "za", "ZA"), (None, None, None), ("GB", "ZZ", "GB")]
)
def test_request_before_the_setting(asked: str | None, setting: str | None, region: str | None) -> None:
    assert region_of(asked, setting) == region


@pytest.mark.parametrize(
    ("asked", "setting", "words"), [("ZZ", "ZA", "default_region is not"), (None, "ZZ", "LAPWING_DEFAULT_REGION")]
)
def test_wrong_one_is_named(asked: str | None, setting: str | None, words: str) -> None:
    with pytest.raises(UnknownRegion, match=words) as refusal:
        region_of(asked, setting)
    assert [error.pointer for error in refusal.value.errors] == ["/default_region"]
