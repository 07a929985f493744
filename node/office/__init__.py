"""The office: it runs checks and builds reports.

``check`` is the path of a check. Each stage is a module: ``certification`` (with ``plan``), ``intent``,
``answers``, ``lookup``, ``total``, ``report``. ``inquiry`` is the state that survives a restart,
``check_state`` what the stages return, ``calls`` the gRPC rounds to the other roles.
"""
