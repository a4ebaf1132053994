"""The one gate in front of an account: an event loop, a file, and a worker's side of it. In reading order:

gates       what a worker passes through before every request
limiter     grants requests to leave, for every worker and every run
meeting     an account among all limiters on this machine
state_file  where they meet; ledger is what stands in it, locks and liveness keep them in turn
"""
