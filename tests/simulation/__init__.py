"""The real dispatcher and runner, simulated: one thread, a virtual clock, and every fault that can be thought of.

    hub.py           the scheduler: actors are greenlets, exactly one of them runs, a seed says which
    profile.py       how often which fault happens
    ports.py         the ports over the in-memory adapters; every call passes the scheduler, which may spoil it
    world.py         one schedule: the stores, the users, the Functions host
    platform.py      the executions of the runner
    people.py        what users do
    invariants.py    I1 to I10, checked after every step and at rest
    mutants.py       each rule of the protocol switched off; the invariants must notice
    mutant.py        what a mutant is; one that does not fit the code is refused
    replacements.py  what mutants put in the place of functions
    campaign.py      many schedules, in several processes
    report.py        the table of results

One seed is one schedule. `python -m tests.simulation --seed 17 --schedules 1` runs it again, byte for byte.
"""
