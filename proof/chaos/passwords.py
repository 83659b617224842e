"""Passwords while everything dies: steps of a second try, three gateways that lie, killed and sleeping processes.

A password in doubt goes once more, with the same code, through another gateway. A kill at each step between the first
submission and the second may cost the second, and never makes a third, though there is a gateway for it.
"""

import random
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from deploy.simulator.ledger import ACCEPTED
from proof.chaos.trial import Finding, Plan, sleep_until
from proof.chaos.visitors import MAX_SENDS, Crowd, begin, numbers, open_page
from proof.evidence import await_still, held_by, left_by, read_entries, read_rows
from proof.judge import judge
from proof.password_laws import MOST_SUBMISSIONS, Challenge, Visit, judge_passwords
from proof.processes import NotReady, Process
from proof.world import Shape, World

NAME: Final = "passwords"
VISITORS: Final = 8
DISPATCHERS: Final = 3
CROWD_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = (0.2, 1.2)
API_EVERY: Final = 6  # kills of dispatchers, to one of the api's
DEATH_SECONDS: Final = 60.0
SETTLE_SECONDS: Final = 150.0
KILLED: Final = 137
THIRD_SECONDS: Final = 13.0  # after which a third submission would have come, if there were one
RETRY_SECONDS: Final = 9.0  # within which a password in doubt is on its second way
START_SECONDS: Final = 10.0  # that a successor may take until it is at work
EXPIRING: Final = 5
SHORT_LIFE_SECONDS: Final = 1.0
SHAPE: Final = Shape(
    dispatchers=0,
    urgent_slots=20,
    bulk_slots=20,
    latency_ms=20.0,
    lease=4.0,
    deadline=1.5,
    zygote=True,
    simulator_arguments=("--ledger-bodies",),
)
# Where a dispatcher dies with a password that the first gateway took without saying so. The first pass is the first
# submission, the second one the second. A short run takes the first of these alone.
STEPS: Final = (
    "after_settle_commit:1",
    "before_claim_commit:1",
    "after_claim_commit:1",
    "before_send:1",
    "after_answer:1",
    "before_settle_commit:1",
    "before_claim_commit:2",
    "after_claim_commit:2",
    "before_send:2",
    "after_answer:2",
    "before_settle_commit:2",
    "after_settle_commit:2",
)
SILENT: Final[tuple[dict[str, Any], ...]] = ({"kind": "reset", "accept": True},)
# Numbers at which no gateway ever takes a message, or says so: they are in doubt for ever.
DOOMED: Final = 2
DOOM: Final[dict[str, Any]] = {"kind": "reset", "accept": False}
PORTION: Final = 0.05
FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "hang", "accept": True},
    {"kind": "hang", "accept": False},
    {"kind": "reset", "accept": True},
    {"kind": "reset", "accept": False},
    {"kind": "error", "status": 500, "accept": True},
    {"kind": "throttle", "retry_after": 1},
    {"kind": "slow", "seconds": 0.5},
)

_CARRIED: Final = "SELECT message_id, otp_id FROM otp_messages"
_CHALLENGES: Final = "SELECT id, attempts, max_attempts, extract(epoch FROM expires_at) FROM otps"
_ASKED_TWICE: Final = (
    "SELECT count(*) FROM attempts WHERE message_id IN (SELECT message_id FROM otp_messages WHERE otp_id = '{}')"
)
# A submission although one before had been accepted, by an answer that was written down; a receipt tells of it later.
_WITHOUT_DOUBT: Final = """
    SELECT count(*) FROM attempts a JOIN attempts b ON b.message_id = a.message_id AND b.attempt > a.attempt
    WHERE a.outcome = 'accepted' AND coalesce(a.detail, '') = '' AND a.finished_at < b.started_at
"""
_THE_SAME_GATEWAY: Final = """
    SELECT count(*) FROM attempts a JOIN attempts b ON b.message_id = a.message_id AND b.attempt > a.attempt
    WHERE (a.outcome IS NULL OR a.outcome = 'lost') AND a.gateway_id = b.gateway_id
"""


def run(plan: Plan) -> Finding:
    finding = Finding(NAME, "kill")
    chance = plan.chance(NAME)
    with World(SHAPE, keep=plan.keep) as world:
        trial = Trial(world, finding, chance)
        for name in ("second", "third"):
            world.add_simulator(name)
        open_page(world)
        world.simulator.set_dials(faults=list(SILENT))
        steps = STEPS[: plan.times(len(STEPS))]
        for step in steps:
            trial.die_at(step, go_on=step != steps[-1] or plan.scale < 1)
        trial.let_expire(plan.times(EXPIRING))
        doomed = [next(trial.numbers) for _ in range(DOOMED)]
        faults = [*(DOOM | {"to": msisdn} for msisdn in doomed), *({**one, "probability": PORTION} for one in FAULTS)]
        for simulator in world.simulators:
            simulator.set_dials(faults=faults, callback_delay_ms=[10.0, 6_000.0])
        trial.visits += [begin(world, msisdn) for msisdn in doomed]
        trial.crowd(CROWD_SECONDS * plan.scale)
        for simulator in world.simulators:
            simulator.set_dials(faults=[])
        trial.judge()
    return finding


class Trial:
    """What is done in one world, and what its clients saw."""

    def __init__(self, world: World, finding: Finding, chance: random.Random) -> None:
        self.world = world
        self.finding = finding
        self.chance = chance
        self.visits: list[Visit] = []
        self.numbers: Iterator[str] = numbers()
        self.across: dict[str, float] = {}  # challenges with a kill between their submissions, and when that was
        self.unsent: list[Visit] = []  # whose time is over before anybody sends them
        self.naps: list[tuple[int, float]] = []  # which process fell asleep, and when
        self.late: set[tuple[str, str]] = set()  # what a sleeper had under way

    def die_at(self, step: str, *, go_on: bool) -> None:
        """One password, and a dispatcher that dies at the step with it; a successor goes on, or the crowd does."""
        self._trust_again()
        # No receipt before the second try: it comes when a lease has ended, and a successor has started.
        silence = 1000 * (RETRY_SECONDS + SHAPE.lease + START_SECONDS)
        for simulator in self.world.simulators:
            simulator.set_dials(callback_delay_ms=[silence, silence])
        visit = begin(self.world, next(self.numbers))
        self.visits.append(visit)
        process = self.world.start_dispatcher(wait=False, FAILPOINTS=step, LANES="urgent")
        give_up = time.monotonic() + DEATH_SECONDS
        while process.running and time.monotonic() < give_up:
            time.sleep(0.02)
        self.finding.require(process.code == KILLED, f"{step}: the step was not reached; exit code {process.code}")
        self.finding.trials += 1
        self._remember(left_by(self.world, process.pid))
        if self.world.count(_ASKED_TWICE.format(visit.id)) < MOST_SUBMISSIONS:
            self.across[visit.id] = time.time()
            if go_on:
                self._go_on(visit)

    def _go_on(self, visit: Visit) -> None:
        """Let a successor make the second submission, so that the next one to die does not meet it."""
        self.world.start_dispatcher(LANES="urgent,bulk")
        give_up = time.monotonic() + DEATH_SECONDS
        while self.world.count(_ASKED_TWICE.format(visit.id)) < MOST_SUBMISSIONS:
            if time.monotonic() > give_up:
                raise NotReady(f"the password {visit.id} was not submitted again")
            time.sleep(0.05)
        self.world.stop_dispatchers()

    def let_expire(self, count: int) -> None:
        """Nobody is there to send these until their time is over; it is made to go faster."""
        self.unsent = [begin(self.world, next(self.numbers)) for _ in range(count)]
        self.visits += self.unsent
        ids = ", ".join(f"'{visit.id}'" for visit in self.unsent)
        ends = f"now() + interval '{SHORT_LIFE_SECONDS} s'"
        carried = f"SELECT message_id FROM otp_messages WHERE otp_id IN ({ids})"
        for statement in (
            f"UPDATE otps SET expires_at = {ends} WHERE id IN ({ids})",
            f"UPDATE messages SET expires_at = {ends} WHERE id IN ({carried})",
        ):
            self.world.postgres.ask(statement, database="lapwing")
        time.sleep(SHORT_LIFE_SECONDS + 0.5)

    def crowd(self, seconds: float) -> None:
        for _ in range(DISPATCHERS):
            self.world.start_dispatcher(wait=False)
        with Crowd(self.world, visitors=VISITORS, chance=self.chance, numbers=self.numbers) as crowd:
            sleeper = threading.Thread(target=self._sleep_and_wake, args=(self.world.dispatchers[0],))
            sleeper.start()
            begun = time.monotonic()
            end = begun + seconds
            kills = 0
            while time.monotonic() < end:
                time.sleep(self.chance.uniform(*PAUSE_SECONDS))
                kills += 1
                if kills % API_EVERY == API_EVERY // 2:
                    self.world.api_process.kill()
                    self.finding.trials += 1
                    self.finding.add("kills of the api", 1)
                    self.world.start_api()
                else:
                    self._kill_one()
            sleeper.join()
        sleep_until(begun + THIRD_SECONDS)
        self.visits += crowd.visits
        self.finding.figures |= {"challenges": len(self.visits), "codes that did not come in time": crowd.unseen}
        self.finding.require(not crowd.failures, f"{len(crowd.failures)} visitors failed: {crowd.failures[:1]}")

    def _sleep_and_wake(self, sleeper: Process) -> None:
        """One of them sleeps past its lease, in the middle of the crowd."""
        sleeper.await_ready()
        time.sleep(self.chance.uniform(0.5, 1.5))
        sleeper.pause()
        self.naps.append((sleeper.pid, time.time()))
        time.sleep(SHAPE.lease + 1.5)
        sleeper.resume()
        self.finding.add("naps past the lease", 1)

    def _kill_one(self) -> None:
        awake = [one for one in self.world.dispatchers[1:] if one.running and one.is_ready]
        if awake:
            victim = self.chance.choice(awake)
            victim.kill()
            self._remember(left_by(self.world, victim.pid))
            self.finding.trials += 1
            self.world.start_dispatcher(wait=False)

    def _remember(self, held: Mapping[str, int]) -> None:
        """What one had in hand as it died, or fell asleep."""
        self.finding.held |= held.keys()
        self.finding.most("in flight at a kill, most", len(held))
        self.late.update((id_, str(attempt)) for id_, attempt in held.items())

    def _trust_again(self) -> None:
        """Its owner says that the cause is gone: without that a gateway that never answers is not asked any more."""
        for gateway in self.world.api.insist("GET", "/v1/gateways")["items"]:
            self.world.api.insist("POST", f"/v1/gateways/{gateway['id']}/enable")

    def judge(self) -> None:
        """Wait until nothing moves, and hear clients, Postgres and the gateways."""
        world, finding = self.world, self.finding
        self._trust_again()
        await_still(world, seconds=SETTLE_SECONDS)
        for pid, since in self.naps:
            self._remember(held_by(world, pid, since=since))
        carried = dict(world.ask(_CARRIED))
        entries = read_entries(world)
        endings = {"cancelled": self._keys(carried, ended=True), "expired": self._keys(carried, ended=False)}
        verdict = judge(
            [("", message) for message in carried],
            read_rows(world),
            entries,
            allowed=MOST_SUBMISSIONS,
            rings=MOST_SUBMISSIONS * MAX_SENDS,
            endings=endings,
        )
        finding.verdicts.append(verdict)
        finding.broken += verdict.broken(held=finding.held)
        challenges = {
            id_: Challenge(int(attempts), int(most), float(expires_at))
            for id_, attempts, most, expires_at in world.ask(_CHALLENGES)
        }
        for law, found in judge_passwords(self.visits, challenges, carried, entries, late=self.late).items():
            finding.require(not found, f"{len(found)} {law}, such as {found[:1]}")
        for law, question in {
            "went again without doubt": _WITHOUT_DOUBT,
            "the same gateway": _THE_SAME_GATEWAY,
        }.items():
            finding.require(not world.count(question), f"{law}: {world.count(question)} submissions")
        self._figures(carried)
        finding.figures["statuses"] = dict(sorted(verdict.statuses.items()))
        world.keep = world.keep or bool(finding.broken)

    def _keys(self, carried: Mapping[str, str], *, ended: bool) -> set[tuple[str, str]]:
        """The messages of challenges that their client ended, or of those whose life was made short."""
        ids = {visit.id for visit in (self.visits if ended else self.unsent) if visit.ended_at or not ended}
        return {("", message) for message, otp in carried.items() if otp in ids}

    def _figures(self, carried: Mapping[str, str]) -> None:
        """What was met: without it nothing was proven."""
        arrivals: dict[str, list[float]] = {}
        for entry in read_entries(self.world):
            if entry.kind == ACCEPTED and entry.m is not None:
                arrivals.setdefault(entry.m, []).append(entry.time)
        twice = {carried[id_]: times for id_, times in arrivals.items() if len(times) == MOST_SUBMISSIONS}
        across = [
            id_
            for id_, killed_at in self.across.items()
            if id_ in twice and min(twice[id_]) < killed_at < max(twice[id_])
        ]
        figures = self.finding.figures
        figures["submitted twice, with one code"] = len(twice)
        figures["of these with a kill in between"] = len(across)
        figures["verified"] = sum(visit.verified for visit in self.visits)
        self.finding.require(bool(across), "no kill came between two submissions, so nothing was proven of it")
        self.finding.require(figures["verified"] > 0, "nobody's code was right, so nothing was proven of codes")
        expired = sum(row.status == "expired" for row in read_rows(self.world))
        self.finding.require(expired > 0, "no password expired on its way, so nothing was proven of that")
