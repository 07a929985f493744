"""The HTTP edge: a witness that any configured log may ask, and the public log as static files.

    POST /add-checkpoint                 c2sp.org/tlog-witness; every member but the sequencer
    GET  /<origin hash>/checkpoint       the last checkpoint cosigned here of that log
    GET  /checkpoint /tile/… /policy /trace/…   c2sp.org/tlog-tiles; the sequencer

Off unless ``node.toml`` has a section ``[web]``. It speaks plain HTTP and is meant to stand behind a reverse
proxy that ends TLS. Nothing secret passes here: requests are judged by the signatures they carry.
"""
