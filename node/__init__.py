"""The application: configuration, composition root, the path of each job, its edges and its own store.

``node.office.check`` is the path of a household check on the asker's side, ``node.department.answer`` on the
answerer's side;
``node.registrar.certify`` is the registrar's part, ``node.trustee.release`` the trustee's. ``node.app`` puts
one process together. No cryptography lives here: it is called from ``protocols``.
"""
