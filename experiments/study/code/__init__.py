"""What ties a stored row to the code that made it: a digest of all that a trial can execute.

`modules` reads source files, `refusals` and `normal` take from a definition what its behaviour does not depend on, and `closure`
follows the calls from a trial's first function and hashes what they reach.
"""
