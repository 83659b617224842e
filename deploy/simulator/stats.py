"""What the gateway counts while it runs; the ledger is the evidence, these are the totals."""

from collections import Counter


class Stats:
    """Counts since the process started."""

    def __init__(self) -> None:
        self.requests = 0
        self.accepted = 0
        self.repeated = 0
        self.refused: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.callbacks: Counter[str] = Counter(sent=0, refused=0, dropped=0, lost=0, retried=0)
        self.callbacks_queued = 0
        self.duplicates: Counter[str] = Counter()
        # Hashes, not the ids: a million messages cost megabytes here, not hundreds of them.
        self._seen: set[int] = set()

    def count_accepted(self, m: str | None) -> None:
        self.accepted += 1
        if m is None:
            return
        mark = hash(m)
        if mark in self._seen:
            self.duplicates[m] += 1
        else:
            self._seen.add(mark)

    def as_json(self) -> dict[str, object]:
        return {
            "requests": self.requests,
            "accepted": self.accepted,
            "repeated": self.repeated,
            "refused": dict(self.refused),
            "faults": dict(self.faults),
            "callbacks": {**self.callbacks, "queued": self.callbacks_queued},
            # An id accepted twice is one extra here; the judge reads the ledger for the rest.
            "duplicates": {m: extra + 1 for m, extra in self.duplicates.most_common(1000)},
            "duplicated": sum(self.duplicates.values()),
        }
