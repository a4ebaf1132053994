"""The quota of an account, as arithmetic: no clock, no event loop, no I/O. In reading order:

limits      what an account may be asked, per window
logs        what was sent
counting    when the next request may leave                  -> Quota
announced   what headers tell, and what they give away of others
ceiling     a limit that nobody tells, found by going a little farther
finding     a ceiling for each that is not known
health      half as much while too many requests fail
learning    what an answer teaches                           -> Learner
turns       whose turn it is
purses      what runs may still spend
permits     what workers and the limiter say to each other
sharing     how limiters that share no memory divide an account
account     all of it for one account                        -> Account
"""
