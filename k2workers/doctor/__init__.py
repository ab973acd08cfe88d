"""What the command ``doctor`` looks at: whether a feed with these settings could do its work on this machine, and what to do where it could not.

``diagnosis`` is what it tells, ``examination`` how checks are made, ``machine_checks`` and ``venue_checks`` the checks, ``examine`` the command.
"""
