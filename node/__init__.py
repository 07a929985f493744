"""The application: configuration, composition root, the path of each job, its edges and its own store.

``node.check`` is the path of a household check on the asker's side, ``node.answer`` on the answerer's side;
``node.certify`` is the registrar's part, ``node.release`` the trustee's. ``node.member`` puts one process
together. No cryptography lives here: it is called from ``protocols``.
"""
