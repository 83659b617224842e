"""Settings that cannot work stop either process, with their name and the remedy."""

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from api.main import main as api
from dispatcher.main import main as dispatcher
from shared.settings import Settings

NEEDED = {
    "LAPWING_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "LAPWING_REDIS_URL": "redis://127.0.0.1:1",
    "LAPWING_SECRET_KEYS": "made-up",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("start", [api, dispatcher], ids=["api", "dispatcher"])
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        pytest.param(
            "LAPWING_DEFAULT_REGION",
            "ZZ",
            "LAPWING_DEFAULT_REGION: ZZ is not a known country; give its two-letter code, such as ZA or GB. See",
            id="a country there is not",
        ),
        pytest.param("LAPWING_DEFAULT_REGION", "Kenya", "LAPWING_DEFAULT_REGION: Kenya is not", id="a name"),
        pytest.param("LAPWING_ALLOWED_NETWORKS", "10.0.0.1/8", "LAPWING_ALLOWED_NETWORKS: 10.0.0.1/8 has", id="host"),
        pytest.param("LAPWING_DATABASE_URL", None, "LAPWING_DATABASE_URL: is not set. See", id="missing"),
    ],
)
def test_wrong_ones_stop_the_process(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    start: Callable[[], None],
    name: str,
    value: str | None,
    told: str,
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as end:
        start()
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(told)


@pytest.mark.parametrize(("given", "region"), [("", None), ("za", "ZA"), (" GB ", "GB")])
def test_a_region_is_kept_as_iso_writes_it(monkeypatch: pytest.MonkeyPatch, given: str, region: str | None) -> None:
    monkeypatch.setenv("LAPWING_DEFAULT_REGION", given)
    assert Settings.from_environment().default_region == region


def test_without_a_region_there_is_none() -> None:
    settings = Settings(database_url="x", redis_url="x", secret_keys=(SecretStr("x"),))
    assert settings.default_region is None
