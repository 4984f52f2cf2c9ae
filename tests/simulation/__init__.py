"""The real dispatcher and runner, simulated: one thread, a virtual clock, and every fault that can be thought of.

    hub.py           the scheduler: actors are greenlets, exactly one of them runs, a seed says which
    profile.py       how often which fault happens
    ports.py         the ports over the in-memory adapters; every call passes the scheduler, which may spoil it
    world.py         one schedule: the stores, the users, the Functions host
    platform.py      the executions of the runner
    people.py        what users do
    sending.py       uploads that take their time
    owners.py        who lets a scene grow, shrink or run again, and who stands in its way
    invariants.py    I1 to I6 and I8, after every step
    growth.py        I13 to I16: scenes that grow, uploads in progress, blocked scenes
    doubts.py        I17: results that may be wrong
    callers.py       who calls a scene off, or deletes it; called_off.py: I19 and I20
    told.py          I21: who is told about scenes
    two_jobs.py      I18: a fallback job, for days on which the first gets no machine
    at_rest.py       I7, I9 and I10: when a schedule has come to rest, and what is true then
    stores.py        what the stores show; seen.py: what is remembered of them
    mutants.py       each rule of the protocol switched off; the invariants must notice
    mutants_growth.py   the same for the rules of growth.py; mutants_two_jobs.py of two_jobs.py
    mutant.py        what a mutant is; one that does not fit the code is refused
    replacements.py  what mutants put in the place of functions (and replacements_growth.py)
    campaign.py      many schedules, in several processes
    report.py        the table of results

One seed is one schedule. `python -m tests.simulation --seed 17 --schedules 1` runs it again, byte for byte.
"""
