"""What SMSPortal's answers to questions and to logins mean."""

from decimal import Decimal

from shared.adapter import Answer, Balance, Login, LoginRefused, UnreadableAnswer
from tests.gateways.cases import Balances, Logins
from tests.gateways.smsportal.account import error, json_answer

TOKEN = "eyJ.t0k.en"
BALANCES = [
    Balances("credits", json_answer(200, {"balance": 123}), Balance(Decimal(123), "credits")),
    Balances("in Pascal's case", json_answer(200, {"Balance": 998.5}), Balance(Decimal("998.5"), "credits")),
    Balances("post-paid", json_answer(200, {"balance": 1000000}), Balance(Decimal(1000000), "credits")),
    Balances("in debt, as a text", json_answer(200, {"balance": "-0.05"}), Balance(Decimal("-0.05"), "credits")),
    Balances("no permission", error(401, "InvalidCredentials"), None),
    Balances("a page", Answer(200, {}, b"<html>"), None),
    Balances("no number", json_answer(200, {"balance": "a lot"}), None),
    Balances("not finite", Answer(200, {}, b'{"balance": NaN}'), None),
    Balances("a flag", json_answer(200, {"balance": True}), None),
    Balances("a balance in an error", json_answer(500, {"balance": 5}), None),
]

LOGINS = [
    Logins(
        "a day", json_answer(200, {"token": TOKEN, "schema": "JWT", "expiresInMinutes": 1440}), Login(TOKEN, 86_400.0)
    ),
    Logins(
        "an hour, in Pascal's case", json_answer(200, {"Token": TOKEN, "ExpiresInMinutes": "60"}), Login(TOKEN, 3600.0)
    ),
    Logins(
        "a year is not believed",
        json_answer(200, {"token": TOKEN, "expiresInMinutes": 525_600}),
        Login(TOKEN, 86_400.0),
    ),
    Logins("for half a minute", json_answer(200, {"token": TOKEN, "expiresInMinutes": 0.5}), Login(TOKEN, 30.0)),
    Logins("for ever", Answer(200, {}, b'{"token": "eyJ.t0k.en", "expiresInMinutes": NaN}'), Login(TOKEN, 3600.0)),
    Logins("until yesterday", json_answer(200, {"token": TOKEN, "expiresInMinutes": -5}), Login(TOKEN, 3600.0)),
    Logins("for how long is not said", json_answer(200, {"token": TOKEN}), Login(TOKEN, 3600.0)),
    Logins("for no time at all", json_answer(200, {"token": TOKEN, "expiresInMinutes": 0}), Login(TOKEN, 3600.0)),
    Logins("no token", json_answer(200, {"expiresInMinutes": 5}), UnreadableAnswer),
    Logins("a token that would end its header", json_answer(200, {"token": "a\r\nb"}), UnreadableAnswer),
    Logins("a page", Answer(200, {}, b"<html>"), UnreadableAnswer),
    Logins("a token in an error", json_answer(500, {"token": TOKEN}), UnreadableAnswer),
    Logins("busy", Answer(429), UnreadableAnswer),
    Logins("wrong key", error(401, "InvalidCredentials"), LoginRefused),
    Logins("wrong key, without a word", Answer(401), LoginRefused),
    Logins("deactivated", Answer(403, {}, b"<html>"), LoginRefused),
    Logins("wrong key, as a wrong request", error(400, "Authentication.InvalidCredentials"), LoginRefused),
]

# Answers to other calls, and whether a new login may mend them.
ENDED = {
    "expired": (error(401, "AuthenticationToken.Expired"), True),
    "not known any more": (error(401, "AuthenticationToken.Invalid"), True),
    "in a list": (json_answer(401, {"errors": [{"errorCode": "authenticationtoken.expired"}]}), True),
    "without a word": (Answer(401), True),
    "the key itself": (error(401, "InvalidCredentials"), False),
    "no credit": (error(403, "InsufficientCredits"), False),
    "another status": (error(400, "AuthenticationToken.Expired"), False),
    "all is well": (json_answer(200, {"messages": 1}), False),
}
