"""`scenejobs audit`: proves from the blobs alone that nothing was lost, doubled or left unexplained.

snapshot.py       reads everything there is, in an order in which nothing can slip through
check_uploads.py  I1 no loss, I2 once, I6 nothing overwritten, I7 one place: where every uploaded version is
check_results.py  I3 processed => done, I4 error => reason: what every blob in output, processed and error is there for
check_pending.py  I5 bounded, I7 final, I8 acknowledged => recorded: what still has to happen, and that it will
report.py         all findings of one audit

The checks are pure: evidence in, findings out. The invariants are those of docs/reliability.md.
"""
