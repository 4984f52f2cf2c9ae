import sys, time
from tests.simulation.world import Options, simulate

n = int(sys.argv[1])
prof = sys.argv[2]
start = int(sys.argv[3]) if len(sys.argv) > 3 else 0
t = time.time()
steps = 0
bad = 0
for seed in range(start, start + n):
    s = simulate(Options(seed, prof))
    steps += s.hub.steps
    if s.hub.violation:
        bad += 1
        print(seed, s.hub.violation)
        if n == 1:
            for row in s.hub.trace[-80:]:
                print("%8.1f %-22s %s %s" % row)
print(n, "schedules", steps, "steps", bad, "bad", round(time.time() - t, 1), "s")
