"""Six-field schedules of timer triggers (NCRONTAB): `0 */5 * * * *` is every five minutes.

Fields: second, minute, hour, day of month, month, day of week (0 is Sunday). Each is `*`, numbers, ranges and steps,
joined by commas; names of days and months are not supported. All fields have to match, also day and weekday: cron
itself and the libraries for it differ there (decision 148).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_RANGES = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_NAMES = ("second", "minute", "hour", "day", "month", "weekday")
_HORIZON = timedelta(days=366 * 5)  # 29 February comes within it


@dataclass(frozen=True)
class Schedule:
    """Allowed values of each field."""

    fields: tuple[frozenset[int], ...]

    @staticmethod
    def parse(text: str) -> Schedule:
        """Raises ValueError naming the field."""
        parts = text.split()
        if len(parts) != 6:
            raise ValueError(f"the schedule {text!r} has {len(parts)} fields, not 6")
        return Schedule(tuple(_field(*item) for item in zip(parts, _RANGES, _NAMES, strict=True)))

    def next_after(self, time: datetime) -> datetime:
        """The first matching second after `time`. Raises ValueError when no day ever matches."""
        seconds, minutes, hours, days, months, weekdays = self.fields
        now = time.replace(microsecond=0) + timedelta(seconds=1)
        end = now + _HORIZON
        while now < end:
            if now.month not in months or now.day not in days or now.isoweekday() % 7 not in weekdays:
                now = now.replace(hour=0, minute=0, second=0) + timedelta(days=1)
            elif now.hour not in hours:
                now = now.replace(minute=0, second=0) + timedelta(hours=1)
            elif now.minute not in minutes:
                now = now.replace(second=0) + timedelta(minutes=1)
            elif now.second not in seconds:
                now += timedelta(seconds=1)
            else:
                return now
        raise ValueError("the schedule never comes")


def _field(text: str, limits: tuple[int, int], name: str) -> frozenset[int]:
    low, high = limits
    values: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        try:
            begin = low if span == "*" else int(first)
            end = high if span == "*" or (step and not last) else int(last or first)
            found = range(begin, end + 1, int(step) if step else 1)
        except ValueError:
            raise ValueError(f"the {name} {part!r} of the schedule is not understood") from None
        if not found or begin < low or end > high:
            raise ValueError(f"the {name} {part!r} of the schedule is not within {low} to {high}")
        values.update(found)
    return frozenset(values)
